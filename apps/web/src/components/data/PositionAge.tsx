"use client";

import type { Position } from "@/lib/api/schemas";
import { ageMs } from "@/lib/domain/positions";
import { duration } from "@/lib/format/time";
import { useMarketNow } from "@/lib/live/useFreshness";

/** Market time since it was opened. */
export function PositionAge({ position }: { position: Position }) {
  const now = useMarketNow();
  return <span className="num">{duration(ageMs(position, now))}</span>;
}
