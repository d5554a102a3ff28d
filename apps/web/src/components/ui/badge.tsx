import { cva, type VariantProps } from "class-variance-authority";
import type { ComponentProps } from "react";
import { cn } from "@/lib/cn";

const badge = cva("inline-flex items-center gap-1 rounded px-1.5 text-2xs font-semibold whitespace-nowrap", {
  variants: {
    tone: {
      neutral: "bg-raised text-soft",
      outline: "border border-line-strong text-soft",
      brand: "bg-brand-soft text-brand",
      up: "bg-up-soft text-up",
      down: "bg-down-soft text-down",
      good: "bg-good-soft text-good",
      bad: "bg-bad-soft text-bad",
      amber: "bg-amber-soft text-amber",
      violet: "bg-violet-soft text-violet",
    },
    size: { sm: "h-4.5", md: "h-6 px-2 tracking-wide" },
  },
  defaultVariants: { tone: "neutral", size: "sm" },
});

export type Tone = NonNullable<VariantProps<typeof badge>["tone"]>;

export function Badge({ className, tone, size, ...props }: ComponentProps<"span"> & VariantProps<typeof badge>) {
  return <span className={cn(badge({ tone, size }), className)} {...props} />;
}
