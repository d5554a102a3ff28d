import { useId, type ComponentProps, type ReactNode } from "react";
import { cn } from "@/lib/cn";

const box = "h-8 w-full rounded border border-line bg-panel-2 px-2.5 text-xs outline-none placeholder:text-faint focus-visible:border-brand";

/** A labelled line of input. */
export function Field({ label, hint, className, ...props }: ComponentProps<"input"> & { label: ReactNode; hint?: ReactNode }) {
  const id = useId();
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="label">
        {label}
      </label>
      <input id={id} autoComplete="off" spellCheck={false} aria-describedby={hint === undefined ? undefined : `${id}-hint`} className={cn(box, className)} {...props} />
      {hint !== undefined && (
        <p id={`${id}-hint`} className="text-2xs text-faint">
          {hint}
        </p>
      )}
    </div>
  );
}
