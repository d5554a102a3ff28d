"use client";

import { useQuery } from "@tanstack/react-query";
import { Lightbulb } from "lucide-react";
import { useState } from "react";
import { ActButton } from "@/components/data/ActButton";
import { Refusal } from "@/components/data/Refusal";
import { Card } from "@/components/ui/card";
import { cn } from "@/lib/cn";
import { explained, type Explained } from "@/lib/domain/explain";
import { useText } from "@/lib/i18n/useText";
import { explainQuery, useExplain } from "@/lib/queries/actions";
import { signalsQuery } from "@/lib/queries/live";

const SHOWN = 8;

function useAmount(unit: string): (value: number | null) => string {
  const { t, bps, fixed } = useText();
  switch (unit) {
    case "fraction":
      return (value) => `${bps(value)} ${t("unit.bp")}`;
    case "minutes":
      return (value) => `${fixed(value, 0, true)} ${t("unit.minutes")}`;
    default:
      return (value) => fixed(value, 3, true);
  }
}

function Bars({ target, unit, top, base, rest, prediction }: Explained) {
  const { t, words } = useText();
  const amount = useAmount(unit);
  const largest = Math.max(...top.map(({ value }) => Math.abs(value)), Number.MIN_VALUE);
  return (
    <section data-testid={`explain-${target === "" ? "all" : target}`}>
      {target !== "" && <h3 className="label mb-1">{words("target", target)}</h3>}
      <ul className="flex flex-col gap-1">
        {top.map(({ name, value }) => (
          <li key={name} className="grid grid-cols-[7rem_1fr_5rem] items-center gap-2 text-xs">
            <span className="truncate text-soft" title={name}>
              {name}
            </span>
            <span className="relative h-1.5 rounded bg-raised">
              <span className={cn("absolute inset-y-0 rounded", value >= 0 ? "left-1/2 bg-up" : "right-1/2 bg-down")} style={{ width: `${(Math.abs(value) / largest) * 50}%` }} />
            </span>
            <span className="num text-right">{amount(value)}</span>
          </li>
        ))}
      </ul>
      {prediction !== null && <p className="num mt-1 text-2xs text-faint">{t("explain.base", { base: amount(base), rest: amount(rest), prediction: amount(prediction) })}</p>}
    </section>
  );
}

/** The features that moved the prediction most: kept for what was traded, worked out on request for what was not. */
export function ExplainPanel({ symbol }: { symbol: string }) {
  const { t, minute } = useText();
  const { data: signals } = useQuery(signalsQuery);
  const signal = signals?.find((row) => row.symbol === symbol);
  const told = explained(signal?.explain ?? {}, SHOWN);
  // The minute that was asked about stays, although the market goes on.
  const [asked, setAsked] = useState<{ symbol: string; ts: string } | null>(null);
  const about = asked !== null && asked.symbol === symbol ? asked.ts : null;
  const { data: kept } = useQuery({ ...explainQuery(symbol, about ?? ""), enabled: about !== null });
  const explain = useExplain();
  const shown = about !== null && kept ? explained(kept, SHOWN) : told;
  const ts = about !== null && kept ? about : signal?.ts;
  const ask = () => {
    if (signal === undefined) return;
    const wanted = { symbol, ts: signal.ts };
    explain.mutate(wanted, { onSuccess: () => setAsked(wanted) });
  };
  return (
    <Card
      title={t("why.features")}
      data-testid="panel-explain"
      aside={
        <>
          {shown.length > 0 && ts !== undefined && <span className="num label">{minute(Date.parse(ts))}</span>}
          <ActButton needs="operator" size="sm" disabled={signal === undefined || explain.isPending} onClick={ask} data-testid="explain-ask">
            <Lightbulb aria-hidden /> {t(explain.isPending ? "explain.busy" : "explain.ask")}
          </ActButton>
        </>
      }
    >
      <div className="flex flex-col gap-3">
        <Refusal error={explain.error} />
        {about !== null && kept?.unavailable && (
          <p className="text-xs text-amber" data-testid="explain-unavailable">
            {t("explain.unavailable", { why: kept.unavailable })}
          </p>
        )}
        {shown.length === 0 ? <p className="text-xs text-faint">{t("why.features.none")}</p> : shown.map((one) => <Bars key={one.target} {...one} />)}
      </div>
    </Card>
  );
}
