import { arrow, signOf } from "@/lib/format/number";
import { cn } from "@/lib/cn";

/** A gain or a loss: the sign is in the text, a triangle when `withArrow`, and only then in the colour. */
export function Signed({ value, text, withArrow = false, className }: { value: number | null | undefined; text: string; withArrow?: boolean; className?: string }) {
  const sign = /[1-9]/.test(text) ? signOf(value) : 0; // what is rounded to nothing is neither
  return (
    <span className={cn("num", sign > 0 && "text-up", sign < 0 && "text-down", className)}>
      {withArrow && sign !== 0 && (
        <span aria-hidden className="mr-1 text-[0.7em]">
          {arrow(value)}
        </span>
      )}
      {text}
    </span>
  );
}
