"use client";

import { useQuery } from "@tanstack/react-query";
import { QueryView } from "@/components/data/QueryView";
import { Card, Figure } from "@/components/ui/card";
import { Signed } from "@/components/ui/signed";
import { Empty } from "@/components/ui/states";
import type { Attribution } from "@/lib/api/schemas";
import { cn } from "@/lib/cn";
import type { Window } from "@/lib/domain/range";
import { useText } from "@/lib/i18n/useText";
import { attributionQuery, PARTS } from "@/lib/queries/attribution";

function Bars({ total }: { total: Attribution["total"] }) {
  const { t, words, money } = useText();
  const most = Math.max(...PARTS.map((part) => Math.abs(total[part])), Number.MIN_VALUE);
  return (
    <table className="w-full text-xs" data-testid="attribution-parts">
      <caption className="sr-only">{t("attribution.caption")}</caption>
      <tbody>
        {PARTS.map((part) => (
          <tr key={part} title={t(`attribution.${part}.what`)} data-testid={`attribution-${part}`}>
            <th scope="row" className="w-28 py-1 text-left font-normal text-soft">
              {words("attribution", part)}
            </th>
            <td className="relative">
              <span aria-hidden className="absolute inset-y-1 left-1/2 w-px bg-line-strong" />
              <span aria-hidden className={cn("absolute inset-y-1.5 rounded", total[part] >= 0 ? "left-1/2 bg-up" : "right-1/2 bg-down")} style={{ width: `${(Math.abs(total[part]) / most) * 50}%` }} />
            </td>
            <td className="num w-24 text-right">
              <Signed value={total[part]} text={money(total[part], true)} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Why live earned something else than the shadow account on the same decisions: the difference, part by part. */
export function AttributionChart({ window }: { window: Window }) {
  const { t, money, fixed } = useText();
  const query = useQuery(attributionQuery(window));
  return (
    <Card title={t("attribution.title")} data-testid="card-attribution">
      <QueryView query={query} what="attribution.title" rows={6}>
        {({ total, waiting, refused }) =>
          total.trades === 0 && waiting === 0 && refused === 0 ? (
            <Empty title={t("attribution.empty")}>{t("attribution.empty.what")}</Empty>
          ) : (
            <div className="grid gap-x-8 gap-y-3 lg:grid-cols-[16rem_1fr]">
              <div className="grid grid-cols-2 content-start gap-3">
                <Figure label={t("attribution.live")}>
                  <Signed value={total.live_net} text={money(total.live_net, true)} />
                </Figure>
                <Figure label={t("attribution.shadow")}>
                  <Signed value={total.shadow_net} text={money(total.shadow_net, true)} />
                </Figure>
                <Figure label={t("attribution.difference")} data-testid="attribution-difference">
                  <Signed withArrow value={total.difference} text={money(total.difference, true)} />
                </Figure>
                <Figure label={t("figure.trades")}>{fixed(total.trades)}</Figure>
                <Figure label={t("attribution.waiting")} title={t("attribution.waiting.what")}>
                  {fixed(waiting)}
                </Figure>
                <Figure label={t("attribution.refused")} title={t("attribution.refused.what")}>
                  {fixed(refused)}
                </Figure>
              </div>
              <Bars total={total} />
            </div>
          )
        }
      </QueryView>
    </Card>
  );
}
