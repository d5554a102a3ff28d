import type { ComponentProps, ReactNode } from "react";
import { cn } from "@/lib/cn";

/** How a panel is: its frame says what a word or a figure inside it says too. */
export type Alert = "amber" | "bad" | null;

const FRAME = { amber: "border-amber", bad: "border-bad" };

/** A framed part of the desk with its heading; `aside` stands at the right of the heading. */
export function Card({
  title,
  aside,
  className,
  bodyClassName,
  children,
  alert = null,
  ...props
}: Omit<ComponentProps<"section">, "title"> & { title: ReactNode; aside?: ReactNode; bodyClassName?: string; alert?: Alert }) {
  return (
    <section className={cn("flex min-w-0 flex-col rounded-md border bg-panel", alert === null ? "border-line" : FRAME[alert], className)} data-alert={alert ?? undefined} {...props}>
      <header className="flex min-h-9 flex-wrap items-center gap-x-2 gap-y-1 border-b border-line px-3 py-1">
        <h2 className="text-xs font-semibold tracking-tight">{title}</h2>
        <div className="ml-auto flex min-w-0 flex-wrap items-center justify-end gap-1.5">{aside}</div>
      </header>
      <div className={cn("min-h-0 flex-1 p-3", bodyClassName)}>{children}</div>
    </section>
  );
}

/** A figure under its name. */
export function Figure({ label, className, children, ...props }: ComponentProps<"div"> & { label: ReactNode }) {
  return (
    <div className={cn("min-w-0", className)} {...props}>
      <div className="label truncate">{label}</div>
      <div className="num truncate font-medium">{children}</div>
    </div>
  );
}
