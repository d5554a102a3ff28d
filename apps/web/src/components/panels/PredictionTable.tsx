"use client";

import type { Signal } from "@/lib/api/schemas";
import { cn } from "@/lib/cn";
import { preferredSide } from "@/lib/domain/signals";
import type { MessageKey } from "@/lib/i18n/en";
import { useText } from "@/lib/i18n/useText";

/** The ten predictions and the two EVs, long beside short. */
export function PredictionTable({ signal }: { signal: Signal }) {
  const { t, bps, percent, fixed } = useText();
  const side = preferredSide(signal);
  const bp = (value: number | null) => (value === null ? "–" : `${bps(value)} ${t("unit.bp")}`);
  // An excursion has no sign: it is ≥ 0 by definition (D14).
  const size = (value: number | null) => (value === null ? "–" : `${fixed(value * 10_000, 1)} ${t("unit.bp")}`);
  const minutes = (value: number | null) => (value === null ? "–" : `${fixed(value)} ${t("unit.minutes")}`);
  const rows: readonly [MessageKey, string, string][] = [
    ["why.ev", bp(signal.ev_long), bp(signal.ev_short)],
    ["why.er", bp(signal.er_long), bp(signal.er_short)],
    ["why.q05", bp(signal.q05_long), bp(signal.q05_short)],
    ["why.mae", size(signal.e_mae_long), size(signal.e_mae_short)],
    ["why.hold", minutes(signal.e_hold_long_min), minutes(signal.e_hold_short_min)],
    ["why.p_tp", percent(signal.p_tp_long, 0), percent(signal.p_tp_short, 0)],
  ];
  const head = (name: "LONG" | "SHORT", label: MessageKey) => (
    <th scope="col" className={cn("py-1 text-right text-2xs font-medium", side === name ? "text-text" : "text-faint")}>
      {t(label)} {side === name && <span className="text-brand">· {t("why.chosen")}</span>}
    </th>
  );
  return (
    <table className="w-full text-xs" data-testid="prediction-table">
      <caption className="sr-only">{t("chart.signals.what")}</caption>
      <thead>
        <tr>
          <td />
          {head("LONG", "why.long")}
          {head("SHORT", "why.short")}
        </tr>
      </thead>
      <tbody>
        {rows.map(([label, long, short]) => (
          <tr key={label} className="border-t border-line">
            <th scope="row" className="py-1 text-left font-normal text-soft">
              {t(label)}
            </th>
            <td className={cn("num py-1 text-right", side === "LONG" ? "font-medium" : "text-faint")}>{long}</td>
            <td className={cn("num py-1 text-right", side === "SHORT" ? "font-medium" : "text-faint")}>{short}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
