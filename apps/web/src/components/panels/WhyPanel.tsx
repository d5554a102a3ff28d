"use client";

import { useQuery } from "@tanstack/react-query";
import { CheckCircle2, CircleSlash } from "lucide-react";
import { QueryView } from "@/components/data/QueryView";
import { Badge } from "@/components/ui/badge";
import { Card } from "@/components/ui/card";
import { Empty } from "@/components/ui/states";
import type { BlockReason, Signal } from "@/lib/api/schemas";
import { cn } from "@/lib/cn";
import { decisionOf, preferredSide, reasonsOf, unitOf } from "@/lib/domain/signals";
import { useText, type Text } from "@/lib/i18n/useText";
import { signalsQuery } from "@/lib/queries/live";
import { PredictionTable } from "./PredictionTable";

function amount(value: number | null, code: string, text: Text): string {
  switch (unitOf(code)) {
    case "fraction":
      return value === null ? "–" : `${text.bps(value)} ${text.t("unit.bp")}`;
    case "count":
      return text.fixed(value);
    case "money":
      return text.money(value);
    case "minutes":
      return value === null ? "–" : `${text.fixed(value)} ${text.t("unit.minutes")}`;
    case "flag":
    case "plain":
      return value === null ? "–" : text.fixed(value, Number.isInteger(value) ? 0 : 4);
  }
}

function ReasonRow({ reason, primary }: { reason: BlockReason; primary: boolean }) {
  const text = useText();
  const { t, words, why } = text;
  const figures = [
    ["why.value", reason.value],
    ["why.limit", reason.limit],
    ["why.distance", reason.distance],
  ] as const;
  return (
    <li className={cn("border-l-2 py-1 pl-2.5", primary ? "border-amber" : "border-line-strong")} data-testid={`why-${reason.code}`}>
      <div className="flex flex-wrap items-baseline gap-x-2">
        <span className="font-medium">{words("reason", reason.code)}</span>
        <span className="text-2xs text-faint">{reason.code}</span>
        {primary && (
          <Badge tone="amber" className="ml-auto">
            {t("why.primary")}
          </Badge>
        )}
      </div>
      <p className="text-xs text-soft">{why(reason.code)}</p>
      {unitOf(reason.code) !== "flag" && (reason.value !== null || reason.limit !== null) && (
        <dl className="mt-0.5 grid grid-cols-3 gap-2">
          {figures.map(([label, value]) => (
            <div key={label}>
              <dt className="label">{t(label)}</dt>
              <dd className="num text-xs font-medium">{amount(value, reason.code, text)}</dd>
            </div>
          ))}
        </dl>
      )}
    </li>
  );
}

function Verdict({ signal, decimals }: { signal: Signal; decimals: number | null }) {
  const { t, price, fixed } = useText();
  const side = decisionOf(signal);
  if (side === "FLAT") {
    return (
      <p className="flex items-center gap-2 font-semibold" data-testid="why-verdict">
        <CircleSlash aria-hidden className="size-4 text-amber" /> {t("why.blocked")}
      </p>
    );
  }
  return (
    <div data-testid="why-verdict">
      <p className="flex items-center gap-2 font-semibold">
        <CheckCircle2 aria-hidden className="size-4 text-good" /> {t("why.entered", { side: t(`decision.${side}`) })}
      </p>
      <p className="text-xs text-soft">{t("why.entered.what")}</p>
      <p className="num mt-1 text-xs">
        {fixed(signal.size_notional)} {t("unit.quote")} · {signal.leverage}× · {t("col.sl")} {price(signal.sl_price, decimals)} · {t("col.tp")} {price(signal.tp_price, decimals)}
      </p>
    </div>
  );
}

function Body({ signal, decimals }: { signal: Signal; decimals: number | null }) {
  const { t } = useText();
  const reasons = reasonsOf(signal);
  return (
    <div className="flex flex-col gap-3">
      <Verdict signal={signal} decimals={decimals} />
      {reasons.length > 0 && (
        <ul className="flex flex-col gap-2">
          {reasons.map((reason, index) => (
            <ReasonRow key={reason.code} reason={reason} primary={index === 0} />
          ))}
        </ul>
      )}
      {preferredSide(signal) === null ? <p className="text-xs text-faint">{t("why.no_prediction")}</p> : <PredictionTable signal={signal} />}
    </div>
  );
}

/** The newest decision on a symbol: taken or not, and every reason with its value, limit and distance (D23). */
export function WhyPanel({ symbol, decimals }: { symbol: string; decimals: number | null }) {
  const { t, minute } = useText();
  const query = useQuery(signalsQuery);
  const signal = query.data?.find((row) => row.symbol === symbol) ?? null;
  return (
    <Card title={t("why.title")} data-testid="panel-why" aside={signal && <span className="num label">{minute(Date.parse(signal.ts))}</span>}>
      <QueryView query={query} what="why.title" rows={6}>
        {() => (signal === null ? <Empty title={t("why.empty")}>{t("why.empty.what")}</Empty> : <Body signal={signal} decimals={decimals} />)}
      </QueryView>
    </Card>
  );
}
