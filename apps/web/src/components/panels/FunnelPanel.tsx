"use client";

import { useQuery } from "@tanstack/react-query";
import { FunnelBars } from "@/components/charts/FunnelBars";
import { QueryView } from "@/components/data/QueryView";
import { Card } from "@/components/ui/card";
import { Segmented } from "@/components/ui/segmented";
import type { Window } from "@/lib/domain/range";
import { useText } from "@/lib/i18n/useText";
import { funnelQuery } from "@/lib/queries/history";
import { riskQuery, type AccountMode } from "@/lib/queries/risk";
import { useUrlParam } from "@/lib/useUrlState";

const SPANS = ["range", "hour", "minute"] as const;

/** What became of the symbols' minutes: entered, blocked and by what, or flat without a reason. */
export function FunnelPanel({ mode, window }: { mode: AccountMode; window: Window }) {
  const { t, dayMinute } = useText();
  const [param, setSpan] = useUrlParam("funnel");
  const span = SPANS.find((name) => name === param) ?? "range";
  const over = useQuery({ ...funnelQuery(mode, window), enabled: span === "range" });
  const newest = useQuery({ ...riskQuery(mode), enabled: span !== "range", select: (state) => (span === "hour" ? state.funnel_hour : state.funnel_minute) });
  const until = (span === "range" ? over : newest).data?.to_ts;
  return (
    <Card
      title={t("risk.funnel")}
      data-testid="panel-funnel"
      aside={
        <>
          {until && <span className="num label">{t("risk.funnel.until", { time: dayMinute(Date.parse(until)) })}</span>}
          <Segmented label={t("risk.funnel.span")} testId="funnel-span" value={span} options={SPANS.map((value) => ({ value, text: t(`risk.funnel.${value}`) }))} onChange={(value) => setSpan(value === "range" ? null : value)} />
        </>
      }
    >
      {span === "range" ? (
        <QueryView query={over} what="risk.funnel" rows={6}>
          {(funnel) => <FunnelBars funnel={funnel} />}
        </QueryView>
      ) : (
        <QueryView query={newest} what="risk.funnel" rows={6}>
          {(funnel) => <FunnelBars funnel={funnel} />}
        </QueryView>
      )}
    </Card>
  );
}
