"use client";

import { Empty } from "@/components/ui/states";
import type { Funnel } from "@/lib/api/schemas";
import { cn } from "@/lib/cn";
import { stages, type Stage } from "@/lib/domain/risk";
import { useText } from "@/lib/i18n/useText";

const FILL: Record<Stage["name"], string> = { rows: "bg-brand-soft", traded: "bg-good-soft", blocked: "bg-amber-soft", flat: "bg-raised" };

/** Decided minutes, what became of them, and what blocked the others: a bar and its figure for each. */
export function FunnelBars({ funnel }: { funnel: Funnel }) {
  const { t, words, why, fixed, percent } = useText();
  if (funnel.rows === 0) return <Empty title={t("risk.funnel.empty")}>{t("risk.funnel.empty.what")}</Empty>;
  const most = Math.max(...funnel.reasons.map(({ all }) => all), 1);
  return (
    <div className="grid gap-x-6 gap-y-3 lg:grid-cols-[minmax(14rem,1fr)_2fr]">
      <ul className="flex flex-col gap-1">
        {stages(funnel).map(({ name, count, share }) => (
          <li key={name} data-testid={`funnel-${name}`} className="relative flex h-7 items-center justify-between overflow-hidden rounded px-2 text-xs">
            <span aria-hidden className={cn("absolute inset-y-0 left-0 rounded", FILL[name])} style={{ width: `${share * 100}%` }} />
            <span className="relative">{t(`risk.funnel.${name}`)}</span>
            <span className="num relative">
              <span className="font-semibold">{fixed(count)}</span> <span className="text-soft">{percent(share, 1)}</span>
            </span>
          </li>
        ))}
      </ul>
      <table className="w-full text-xs" data-testid="funnel-reasons">
        <caption className="sr-only">{t("risk.funnel.reasons")}</caption>
        <thead>
          <tr className="text-2xs text-faint">
            <th scope="col" className="text-left font-medium">
              {t("col.reason")}
            </th>
            <th scope="col" className="w-20 text-right font-medium" title={t("risk.funnel.primary.what")}>
              {t("risk.funnel.primary")}
            </th>
            <th scope="col" className="w-20 text-right font-medium" title={t("risk.funnel.all.what")}>
              {t("risk.funnel.all")}
            </th>
          </tr>
        </thead>
        <tbody>
          {funnel.reasons.map(({ code, primary, all }) => (
            <tr key={code} data-testid={`funnel-reason-${code}`} title={why(code)}>
              <th scope="row" className="relative py-1 text-left font-normal">
                <span aria-hidden className="absolute inset-y-0.5 left-0 rounded bg-amber-soft" style={{ width: `${(all / most) * 100}%` }} />
                <span className="relative px-1.5">
                  {words("reason", code)} <span className="hidden text-2xs text-soft sm:inline">{code}</span>
                </span>
              </th>
              <td className="num text-right font-semibold">{fixed(primary)}</td>
              <td className="num text-right">{fixed(all)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
