import { arrow, signOf } from "@/lib/format/number";
import { cn } from "@/lib/cn";

/** The colour of a gain or a loss; what is rounded to nothing is neither. */
export function signedTone(value: number | null | undefined, text: string): string | undefined {
  const sign = /[1-9]/.test(text) ? signOf(value) : 0;
  return sign > 0 ? "text-up" : sign < 0 ? "text-down" : undefined;
}

/** A gain or a loss: the sign is in the text, a triangle when `withArrow`, and only then in the colour. */
export function Signed({ value, text, withArrow = false, className }: { value: number | null | undefined; text: string; withArrow?: boolean; className?: string }) {
  const tone = signedTone(value, text);
  return (
    <span className={cn("num", tone, className)}>
      {withArrow && tone !== undefined && (
        <span aria-hidden className="mr-1 text-[0.7em]">
          {arrow(value)}
        </span>
      )}
      {text}
    </span>
  );
}
