import { cva, type VariantProps } from "class-variance-authority";
import { Slot } from "radix-ui";
import type { ComponentProps } from "react";
import { cn } from "@/lib/cn";

const button = cva(
  "inline-flex shrink-0 items-center justify-center gap-1.5 rounded font-medium whitespace-nowrap transition-colors disabled:opacity-45 aria-disabled:opacity-45 [&_svg]:size-3.5 [&_svg]:shrink-0",
  {
    variants: {
      variant: {
        primary: "bg-brand text-brand-ink hover:opacity-90",
        outline: "border border-line bg-panel-2 text-soft hover:border-line-strong hover:text-text",
        ghost: "text-soft hover:bg-raised hover:text-text",
        danger: "border border-bad/50 bg-bad-soft text-bad hover:border-bad",
      },
      size: { sm: "h-6 px-2 text-2xs", md: "h-7 px-2.5 text-xs", lg: "h-9 px-4 text-sm", icon: "size-7" },
    },
    defaultVariants: { variant: "outline", size: "md" },
  },
);

export interface ButtonProps extends ComponentProps<"button">, VariantProps<typeof button> {
  asChild?: boolean;
}

export function Button({ className, variant, size, asChild = false, type, ...props }: ButtonProps) {
  const Element = asChild ? Slot.Root : "button";
  return <Element className={cn(button({ variant, size }), className)} {...(!asChild && { type: type ?? "button" })} {...props} />;
}
