"use client";

import { CheckCircle2, CircleSlash, Send } from "lucide-react";
import { QueryView } from "@/components/data/QueryView";
import { SymbolLink } from "@/components/data/SymbolLink";
import { Card } from "@/components/ui/card";
import { Empty } from "@/components/ui/states";
import { cn } from "@/lib/cn";
import { happenings, type Happening } from "@/lib/domain/orders";
import type { Window } from "@/lib/domain/range";
import { useText } from "@/lib/i18n/useText";
import { useDecimals } from "@/lib/queries/useDecimals";
import { useFills, useOrders } from "@/lib/queries/records";
import type { AccountMode } from "@/lib/queries/risk";

const SHOWN = 80;
const LOOK = { placed: { icon: Send, tone: "text-brand" }, filled: { icon: CheckCircle2, tone: "text-good" }, ended: { icon: CircleSlash, tone: "text-faint" } } as const;

function Line({ event }: { event: Happening }) {
  const { t, words, price, quantity, day, clock } = useText();
  const decimals = useDecimals();
  const { icon: Icon, tone } = LOOK[event.what];
  const rejected = event.status === "REJECTED";
  return (
    <li className="grid grid-cols-[auto_auto_1fr] items-baseline gap-x-2.5 border-b border-line/60 py-1 text-xs last:border-0" data-testid="order-event" data-what={event.what}>
      <Icon aria-hidden className={cn("size-3.5 translate-y-0.5", rejected ? "text-bad" : tone)} />
      <time dateTime={new Date(event.ts).toISOString()} className="num text-2xs text-faint">
        {day(event.ts).slice(5)} {clock(event.ts)}
      </time>
      <span className="min-w-0">
        <span className={cn("font-medium", rejected && "text-bad")}>{event.status === null ? t(`timeline.${event.what}`) : words("order", event.status)}</span> <SymbolLink symbol={event.symbol} />{" "}
        <span className="text-soft">
          {words("side", event.side)} {event.leg !== null && words("leg", event.leg)}
        </span>{" "}
        <span className="num">
          {quantity(event.qty)}
          {event.price !== null && ` @ ${price(event.price, decimals(event.symbol))}`}
        </span>
      </span>
    </li>
  );
}

/** Orders placed, filled and ended, newest first. */
export function OrderTimeline({ mode, window }: { mode: AccountMode; window: Window }) {
  const { t } = useText();
  const { query: orders } = useOrders(mode, window);
  const { data: fills = [] } = useFills(mode, window).query;
  return (
    <Card title={t("timeline.title")} data-testid="panel-order-timeline">
      <QueryView query={orders} what="timeline.title" rows={6}>
        {(rows) => {
          const events = happenings(rows, fills, SHOWN);
          if (events.length === 0) return <Empty title={t("orders.empty")}>{t("orders.empty.range")}</Empty>;
          return (
            <ol className="max-h-72 overflow-y-auto" tabIndex={0} aria-label={t("timeline.title")}>
              {events.map((event) => (
                <Line key={event.key} event={event} />
              ))}
            </ol>
          );
        }}
      </QueryView>
    </Card>
  );
}
