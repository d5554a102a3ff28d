"use client";

import { hinted } from "@/components/ui/hinted";
import type { Position } from "@/lib/api/schemas";
import { cn } from "@/lib/cn";
import { entryOnBar, progressToTarget } from "@/lib/domain/positions";
import { useText } from "@/lib/i18n/useText";

/** The way from stop (left) to target (right): a tick where it was entered, a dot where the mark stands now. */
export function DistanceBar({ position }: { position: Position }) {
  const { t, price, percent } = useText();
  const mark = progressToTarget(position);
  const entry = entryOnBar(position);
  if (mark === null) return <span className="text-faint">–</span>;
  const winning = entry !== null && mark >= entry;
  const label = () => t("positions.bar", { sl: price(position.sl_price), tp: price(position.tp_price), percent: percent(mark, 0) });
  const [from, to] = [Math.min(entry ?? mark, mark), Math.max(entry ?? mark, mark)];
  return (
    <span role="meter" aria-label={t("col.distance")} {...hinted(label)} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(mark * 100)} className="relative inline-block h-3 w-28 min-w-20 align-middle" data-testid={`distance-${position.symbol}`}>
      <span className="absolute inset-x-0 top-1 h-1 rounded-full bg-raised" />
      <span className="absolute top-0.5 left-0 h-2 w-0.5 rounded bg-down" />
      <span className="absolute top-0.5 right-0 h-2 w-0.5 rounded bg-up" />
      {/* Moved by transforms, which lay nothing out. */}
      <span className={cn("absolute inset-x-0 top-1 h-1 origin-left", winning ? "bg-up" : "bg-down")} style={{ transform: `translateX(${from * 100}%) scaleX(${to - from})` }} />
      {entry !== null && <span className="absolute top-0 h-3 w-px bg-soft" style={{ left: `${entry * 100}%` }} />}
      <span className="absolute inset-x-0 top-0.5" style={{ transform: `translateX(${mark * 100}%)` }}>
        <span className={cn("block size-2 -translate-x-1/2 rounded-full ring-2 ring-panel", winning ? "bg-up" : "bg-down")} />
      </span>
    </span>
  );
}
