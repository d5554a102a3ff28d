import { cn } from "@/lib/cn";

/** A thin bar of a part in [0, 1], with an optional limit line. The figure stands beside it in words. */
export function Meter({ value, limit, tone = "brand", className, label }: { value: number; limit?: number; tone?: "brand" | "good" | "amber" | "bad"; className?: string; label: string }) {
  const color = { brand: "bg-brand", good: "bg-good", amber: "bg-amber", bad: "bg-bad" }[tone];
  const part = Math.min(1, Math.max(0, value));
  return (
    <div
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(part * 100)}
      className={cn("relative h-1 w-full overflow-hidden rounded-full bg-raised", className)}
    >
      {/* Moved and not resized: nothing is laid out anew. */}
      <div className={cn("h-full w-full rounded-full", color)} style={{ transform: `translateX(${(part - 1) * 100}%)` }} />
      {limit !== undefined && <div className="absolute inset-y-0 w-px bg-text/60" style={{ left: `${Math.min(1, limit) * 100}%` }} />}
    </div>
  );
}
