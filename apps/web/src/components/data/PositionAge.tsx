"use client";

import type { Position } from "@/lib/api/schemas";
import { ageMs } from "@/lib/domain/positions";
import { useText } from "@/lib/i18n/useText";
import { useMarketNow } from "@/lib/live/useFreshness";

/** Market time since it was opened. */
export function PositionAge({ position }: { position: Position }) {
  const now = useMarketNow();
  const { duration } = useText();
  return <span className="num">{duration(ageMs(position, now))}</span>;
}
