"use client";

import { memo } from "react";
import { Badge } from "@/components/ui/badge";
import { useText } from "@/lib/i18n/useText";

/** LONG or SHORT with an arrow; FLAT without a frame, for it is the usual case. */
export const SideBadge = memo(function SideBadge({ side }: { side: "LONG" | "SHORT" | "FLAT" }) {
  const { t } = useText();
  if (side === "FLAT") return <span className="text-2xs text-faint">{t("decision.FLAT")}</span>;
  return (
    <Badge tone={side === "LONG" ? "up" : "down"}>
      <span aria-hidden>{side === "LONG" ? "▲" : "▼"}</span>
      {t(`decision.${side}`)}
    </Badge>
  );
});
