"use client";

import { useQuery } from "@tanstack/react-query";
import { FlaskConical, OctagonX, Power, Radio, CircleHelp } from "lucide-react";
import { Badge, type Tone } from "@/components/ui/badge";
import { Tooltip } from "@/components/ui/tooltip";
import { shownMode, type ShownMode } from "@/lib/domain/health";
import { useText } from "@/lib/i18n/useText";
import { statusQuery } from "@/lib/queries/live";

const LOOK: Record<ShownMode, { tone: Tone; icon: typeof Radio }> = {
  LIVE: { tone: "good", icon: Radio },
  SHADOW: { tone: "violet", icon: FlaskConical },
  OFF: { tone: "neutral", icon: Power },
  HALTED: { tone: "bad", icon: OctagonX },
};

/** LIVE, SHADOW, OFF or HALTED: word, icon and colour, on every page. */
export function ModeBadge() {
  const { t } = useText();
  const { data } = useQuery(statusQuery);
  const mode = data === undefined ? null : shownMode(data);
  const look = mode === null ? { tone: "outline" as Tone, icon: CircleHelp } : LOOK[mode];
  const Icon = look.icon;
  return (
    <Tooltip text={t(mode === null ? "mode.unknown.what" : `mode.${mode}.what`)}>
      <Badge tone={look.tone} size="md" tabIndex={0} data-testid="mode-badge" data-mode={mode ?? "unknown"}>
        <Icon aria-hidden className="size-3.5" />
        {t(mode === null ? "mode.unknown" : `mode.${mode}`)}
      </Badge>
    </Tooltip>
  );
}

/** Shown while the pointer in use is a demo model: its signals are no evidence (D40). */
export function DemoBadge() {
  const { t } = useText();
  const { data } = useQuery(statusQuery);
  if (data?.model_kind !== "demo") return null;
  return (
    <Tooltip text={t("model.demo.what")}>
      <Badge tone="amber" size="md" tabIndex={0} data-testid="demo-badge">
        {t("model.demo")}
      </Badge>
    </Tooltip>
  );
}
