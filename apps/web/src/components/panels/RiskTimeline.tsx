"use client";

import { CircleAlert, Info, OctagonX, type LucideIcon } from "lucide-react";
import { QueryView } from "@/components/data/QueryView";
import { AlertLink } from "@/components/data/AlertLink";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Segmented } from "@/components/ui/segmented";
import { Empty } from "@/components/ui/states";
import type { RiskEvent } from "@/lib/api/schemas";
import { cn } from "@/lib/cn";
import { download, toCsv } from "@/lib/format/csv";
import type { Window } from "@/lib/domain/range";
import { useCodes } from "@/lib/i18n/useCodes";
import { useText } from "@/lib/i18n/useText";
import { useRiskEvents } from "@/lib/queries/history";
import { useUrlParam } from "@/lib/useUrlState";

const LOOK: readonly { icon: LucideIcon; tone: string }[] = [
  { icon: Info, tone: "text-faint" },
  { icon: Info, tone: "text-brand" },
  { icon: CircleAlert, tone: "text-amber" },
  { icon: OctagonX, tone: "text-bad" },
];
const LEVELS = ["1", "2", "3"] as const;

function Event({ event }: { event: RiskEvent }) {
  const { t, day, clock } = useText();
  const what = useCodes()(event.event_type) ?? event.event_type;
  const severity = Math.min(3, Math.max(1, event.severity));
  const { icon: Icon, tone } = LOOK[severity]!;
  const at = Date.parse(event.ts);
  return (
    <li className="grid grid-cols-[auto_1fr] gap-x-3 border-b border-line/60 py-1.5 last:border-0 sm:grid-cols-[auto_9.5rem_1fr]" data-testid="risk-event" data-severity={severity}>
      <span className={cn("flex items-center gap-1 text-2xs", tone)}>
        <Icon aria-hidden className="size-3.5" />
        <span className="hidden w-14 sm:inline">{t(`risk.severity.${severity as 1 | 2 | 3}`)}</span>
      </span>
      <time dateTime={event.ts} className="num text-xs text-soft">
        {day(at)} {clock(at)}
      </time>
      <div className="col-span-2 min-w-0 sm:col-span-1">
        <span className="mr-2 font-medium">{what}</span>
        <AlertLink code={event.event_type} symbol={event.symbol} />{" "}
        {event.message !== what && <span className="text-xs text-soft">{event.message}</span>}
      </div>
    </li>
  );
}

function csvOf(events: readonly RiskEvent[]): string {
  return toCsv(["ts", "severity", "event_type", "symbol", "message"], events.map((event) => [event.ts, event.severity, event.event_type, event.symbol, event.message]));
}

/** What the risk side reported over the range, newest first. */
export function RiskTimeline({ window }: { window: Window }) {
  const { t } = useText();
  const [param, setLevel] = useUrlParam("severity");
  const level = LEVELS.find((name) => name === param) ?? "1";
  const { query, more } = useRiskEvents(window, Number(level));
  const shown = query.data ?? [];
  return (
    <Card
      title={t("risk.events")}
      data-testid="panel-risk-events"
      aside={
        <>
          <Segmented label={t("risk.events.from")} testId="risk-severity" value={level} options={LEVELS.map((value) => ({ value, text: t(`risk.severity.${value}`) }))} onChange={(value) => setLevel(value === "1" ? null : value)} />
          <Button size="sm" title={t("table.csv.what")} disabled={shown.length === 0} onClick={() => download("perpilot-risk-events.csv", csvOf(shown))} data-testid="risk-events-csv">
            {t("table.csv")}
          </Button>
        </>
      }
    >
      <QueryView query={query} what="risk.events" rows={5}>
        {() =>
          shown.length === 0 ? (
            <Empty title={t("risk.events.empty")}>{t("risk.events.empty.what")}</Empty>
          ) : (
            <>
              <ol className="max-h-[28rem] overflow-y-auto" tabIndex={0} aria-label={t("risk.events")}>
                {shown.map((event) => (
                  <Event key={`${event.ts}:${event.event_type}:${event.symbol ?? ""}:${event.message}`} event={event} />
                ))}
              </ol>
              {more !== null && (
                <Button size="sm" variant="ghost" className="self-center" disabled={more.loading} onClick={more.load} data-testid="risk-events-more">
                  {t(more.loading ? "table.more.loading" : "table.more")}
                </Button>
              )}
            </>
          )
        }
      </QueryView>
    </Card>
  );
}
