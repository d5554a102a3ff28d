"use client";

import { useQuery } from "@tanstack/react-query";
import { memo, useRef } from "react";
import { QueryView } from "@/components/data/QueryView";
import { SymbolLink } from "@/components/data/SymbolLink";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Empty } from "@/components/ui/states";
import type { QualityMap } from "@/lib/api/schemas";
import { cn } from "@/lib/cn";
import { shadeOf, type Shade } from "@/lib/domain/quality";
import type { Window } from "@/lib/domain/range";
import { download, toCsv } from "@/lib/format/csv";
import { useText } from "@/lib/i18n/useText";
import { qualityMapQuery } from "@/lib/queries/records";
import { DragZoom } from "./DragZoom";

const FILL: Record<Shade, string> = { none: "", whole: "bg-good-soft", late: "bg-amber-soft text-amber", some: "bg-bad-soft text-bad", many: "bg-bad text-panel font-semibold" };
const SHADES = ["whole", "late", "some", "many", "none"] as const;

function csvOf(map: QualityMap): string {
  const rows = map.rows.flatMap(({ symbol, expected, missing, late }) => map.ts.map((ts, i) => [symbol, new Date(ts).toISOString(), expected[i], missing[i], late[i]]));
  return toCsv(["symbol", "ts", "expected", "missing", "late"], rows);
}

/** A table, so that every cell can be read out; its figure stands in it wherever something is wrong. */
const Grid = memo(function Grid({ map }: { map: QualityMap }) {
  const { t, dayMinute, minute } = useText();
  // As many times as fit without running into each other.
  const every = Math.max(1, Math.ceil(map.ts.length / 12));
  const names = useRef<HTMLTableCellElement>(null);
  const timeAt = (x: number, width: number) => {
    const left = names.current?.offsetWidth ?? 0;
    const share = Math.max(0, x - left) / Math.max(1, width - left);
    return (map.ts[0] ?? 0) + Math.round(share * map.ts.length * map.bucket_ms);
  };
  return (
    <div className="relative overflow-auto" tabIndex={0} role="region" aria-label={t("quality.map.caption")}>
      <DragZoom timeAt={timeAt} minWidth={`${7 + map.ts.length * 1.15}rem`}>
      <table className="w-full table-fixed border-separate border-spacing-px text-center" data-testid="quality-map">
        <caption className="sr-only">{t("quality.map.caption")}</caption>
        <thead>
          <tr>
            <th ref={names} scope="col" className="sticky left-0 w-28 bg-panel text-left text-2xs font-medium text-faint">
              {t("col.symbol")}
            </th>
            {map.ts.map((ts, index) => (
              <th key={ts} scope="col" title={dayMinute(ts)} className="num h-5 overflow-visible text-left text-2xs font-normal text-faint">
                {index % every === 0 ? minute(ts) : <span className="sr-only">{minute(ts)}</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {map.rows.map((row) => (
            <tr key={row.symbol}>
              <th scope="row" className="sticky left-0 bg-panel text-left text-xs font-normal">
                <SymbolLink symbol={row.symbol} navRow className="flex h-6 items-center text-xs" />
              </th>
              {map.ts.map((ts, index) => {
                const cell = { expected: row.expected[index] ?? 0, missing: row.missing[index] ?? 0, late: row.late[index] ?? 0 };
                const shade = shadeOf(cell);
                const words = t("quality.map.cell", { symbol: row.symbol, time: dayMinute(ts), missing: cell.missing, expected: cell.expected, late: cell.late });
                return (
                  <td key={ts} title={words} data-testid={`cell-${row.symbol}-${index}`} data-shade={shade} className={cn("num h-6 overflow-hidden rounded-[2px] text-[0.625rem] leading-none", shade === "none" ? "border border-line/60" : FILL[shade])}>
                    {cell.missing > 0 ? cell.missing : cell.late > 0 ? <span aria-label={words}>{cell.late}</span> : null}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      </DragZoom>
    </div>
  );
});

/** Missing and late bars, symbols by time. */
export function QualityHeatMap({ window }: { window: Window }) {
  const { t, duration } = useText();
  const query = useQuery(qualityMapQuery(window));
  const map = query.data;
  return (
    <Card
      title={t("quality.map")}
      data-testid="card-quality-map"
      aside={
        <>
          {map && <span className="label">{t("quality.map.bucket", { length: duration(map.bucket_ms) })}</span>}
          <Button size="sm" disabled={!map || map.rows.length === 0} title={t("table.csv.what")} onClick={() => map && download("perpilot-quality-map.csv", csvOf(map))} data-testid="quality-map-csv">
            {t("table.csv")}
          </Button>
        </>
      }
      bodyClassName="p-2"
    >
      <ul className="mb-2 flex flex-wrap gap-x-3 gap-y-1 px-1 text-2xs text-soft">
        {SHADES.map((shade) => (
          <li key={shade} className="flex items-center gap-1.5">
            <span aria-hidden className={cn("inline-block size-3 rounded-[2px]", shade === "none" ? "border border-line-strong" : FILL[shade])} />
            {t(`quality.shade.${shade}`)}
          </li>
        ))}
      </ul>
      <QueryView query={query} what="quality.map" rows={12}>
        {(found) => (found.rows.length === 0 ? <Empty title={t("quality.map.empty")}>{t("quality.map.empty.what")}</Empty> : <Grid map={found} />)}
      </QueryView>
    </Card>
  );
}
