"use client";

import { useQuery } from "@tanstack/react-query";
import { QueryView } from "@/components/data/QueryView";
import { Badge, type Tone } from "@/components/ui/badge";
import { Card, type Alert } from "@/components/ui/card";
import { Meter } from "@/components/ui/meter";
import type { Status } from "@/lib/api/schemas";
import { dataVerdict, MISSING_RATE_LIMIT, type Verdict } from "@/lib/domain/health";
import { useText } from "@/lib/i18n/useText";
import { statusQuery } from "@/lib/queries/live";
import { driftQuery } from "@/lib/queries/records";

const TONE: Record<Verdict, Tone> = { good: "good", watch: "amber", bad: "bad" };
const ALERT: Record<Verdict, Alert> = { good: null, watch: "amber", bad: "bad" };

/** Mean over the symbols, and the worst of them, at the newest measurement. */
function Psi() {
  const { t, fixed } = useText();
  const { data } = useQuery(driftQuery);
  const mean = data?.psi_mean.at(-1) ?? null;
  if (mean === null) return <span className="text-right text-2xs text-faint">{t("drift.psi.none")}</span>;
  return (
    <span className="text-right">
      <span className="num font-medium">{fixed(mean, 2)}</span> <span className="label">{t("drift.psi.worst", { worst: fixed(data?.psi_max.at(-1) ?? null, 2) })}</span>
    </span>
  );
}

function Body({ status }: { status: Status }) {
  const { t, percent, fixed, minute } = useText();
  const missing = status.missing_rate_24h;
  const stamp = (ts: string | null) => minute(ts === null ? null : Date.parse(ts));
  return (
    <div className="flex flex-col gap-2.5">
      <div data-testid="drift-missing">
        <div className="flex items-baseline justify-between">
          <span className="label">{t("drift.missing")}</span>
          <span>
            <span className="num font-medium">{percent(missing, 3)}</span> <span className="label">{t("drift.limit", { limit: percent(MISSING_RATE_LIMIT, 1) })}</span>
          </span>
        </div>
        {/* The bar ends at twice the limit, so that the limit itself stands in the middle. */}
        <Meter label={t("drift.missing")} className="mt-1" value={(missing ?? 0) / (2 * MISSING_RATE_LIMIT)} limit={0.5} tone={(missing ?? 0) > MISSING_RATE_LIMIT ? "bad" : "good"} />
      </div>
      <dl className="grid grid-cols-2 gap-x-4 gap-y-2">
        <div data-testid="drift-gaps">
          <dt className="label">{t("drift.gaps")}</dt>
          <dd className="num text-base font-semibold">{fixed(status.open_gaps)}</dd>
        </div>
        <div data-testid="drift-events">
          <dt className="label">{t("drift.events")}</dt>
          <dd className="num text-base font-semibold">{fixed(status.quality_events_24h)}</dd>
        </div>
        <div data-testid="drift-latest-bar">
          <dt className="label">{t("health.latest_bar")}</dt>
          <dd className="num font-medium">{stamp(status.latest_candle_ts)}</dd>
        </div>
        <div data-testid="drift-latest-signal">
          <dt className="label">{t("health.latest_signal")}</dt>
          <dd className="num font-medium">{stamp(status.latest_signal_ts)}</dd>
        </div>
      </dl>
      <div className="flex items-baseline justify-between gap-2 border-t border-line pt-2" data-testid="drift-psi">
        <span className="label shrink-0">{t("drift.psi")}</span>
        <Psi />
      </div>
    </div>
  );
}

export function DriftCard() {
  const { t } = useText();
  const query = useQuery(statusQuery);
  const verdict = query.data && dataVerdict(query.data);
  return (
    <Card title={t("drift.title")} data-testid="card-drift" alert={verdict ? ALERT[verdict] : null} aside={verdict && <Badge tone={TONE[verdict]} data-testid="drift-verdict">{t(`drift.verdict.${verdict}`)}</Badge>}>
      <QueryView query={query} what="drift.title" rows={6}>
        {(status) => <Body status={status} />}
      </QueryView>
    </Card>
  );
}
