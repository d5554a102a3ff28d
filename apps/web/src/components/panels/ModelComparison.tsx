"use client";

import { useQuery } from "@tanstack/react-query";
import { ModelFigure } from "@/components/data/ModelFigure";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import type { Model } from "@/lib/api/schemas";
import { cn } from "@/lib/cn";
import { bestOf, figureOf, FIGURES } from "@/lib/domain/training";
import { download, toCsv } from "@/lib/format/csv";
import { useText } from "@/lib/i18n/useText";
import { modelsQuery } from "@/lib/queries/records";
import { setUrlParams, useUrlParam } from "@/lib/useUrlState";

export const COMPARED_MAX = 5;

/** The chosen models, in the address. */
export function useCompared(): [readonly string[], (id: string, on: boolean) => void] {
  const [param, set] = useUrlParam("compare");
  const ids = (param ?? "").split(",").filter((id) => id !== "");
  return [ids, (id, on) => set((on ? [...ids.filter((one) => one !== id), id].slice(-COMPARED_MAX) : ids.filter((one) => one !== id)).join(",") || null)];
}

function csvOf(models: readonly Model[]): string {
  return toCsv(["figure", ...models.map((model) => model.model_id)], FIGURES.map(({ name }) => [name, ...models.map((model) => figureOf(model, name))]));
}

/** Models side by side, one figure a line; the best of a line is marked with a word, not only with a colour. */
export function ModelComparison() {
  const { t, words } = useText();
  const [ids] = useCompared();
  const { data = [] } = useQuery(modelsQuery);
  const models = ids.flatMap((id) => data.find((model) => model.model_id === id) ?? []);
  if (models.length === 0) return null;
  return (
    <Card
      title={t("compare.title")}
      data-testid="card-comparison"
      aside={
        <>
          <Button size="sm" title={t("table.csv.what")} onClick={() => download("perpilot-models.csv", csvOf(models))} data-testid="comparison-csv">
            {t("table.csv")}
          </Button>
          <Button size="sm" variant="ghost" onClick={() => setUrlParams({ compare: null })}>
            {t("compare.clear")}
          </Button>
        </>
      }
      bodyClassName="p-0"
    >
      <div className="relative overflow-x-auto" tabIndex={0} role="region" aria-label={t("compare.title")}>
        <table className="w-full text-xs" data-testid="comparison-table">
          <caption className="sr-only">{t("compare.caption")}</caption>
          <thead>
            <tr className="text-2xs text-faint">
              <th scope="col" className="h-7 px-3 text-left font-medium">
                {t("compare.figure")}
              </th>
              {models.map((model) => (
                <th key={model.model_id} scope="col" title={model.model_id} className="num px-3 text-right font-medium text-text">
                  {model.model_id.slice(0, 8)} {model.pointer !== null && <span className="text-faint">{words("models.pointer", model.pointer)}</span>}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {FIGURES.map(({ name, kind, lower, neutral }) => {
              const values = models.map((model) => figureOf(model, name));
              const best = neutral ? new Set<number>() : bestOf(values, lower === true);
              return (
                <tr key={name} className="border-t border-line/60" data-testid={`compare-${name}`}>
                  <th scope="row" className="h-7 px-3 text-left font-normal text-soft">
                    {words("figure", name)}
                  </th>
                  {values.map((value, index) => (
                    <td key={models[index]!.model_id} className={cn("num px-3 text-right", best.has(index) && "font-semibold")}>
                      {best.has(index) && (
                        <Badge tone="good" className="mr-1.5">
                          {t("compare.best")}
                        </Badge>
                      )}
                      <ModelFigure value={value} kind={kind} />
                    </td>
                  ))}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
