"use client";

import { useQuery } from "@tanstack/react-query";
import { Segmented } from "@/components/ui/segmented";
import { Signed } from "@/components/ui/signed";
import type { ProfitRow } from "@/lib/api/schemas";
import { useText, type Text } from "@/lib/i18n/useText";
import { PERIODS, profitQuery } from "@/lib/queries/performance";
import type { AccountMode } from "@/lib/queries/risk";
import type { Column } from "@/lib/table/useTable";
import { useUrlParam } from "@/lib/useUrlState";
import { SimpleTable } from "./SimpleTable";

function columns(text: Text): Column<ProfitRow>[] {
  return [
    // Periods are of UTC, whatever the screen shows times in.
    { id: "period", label: "performance.period", pinned: true, cell: (row) => <span className="num">{row.from_ts.slice(0, 10)}</span>, sort: (row) => row.from_ts },
    { id: "profit", label: "performance.profit", numeric: true, cell: (row) => <Signed withArrow value={row.profit} text={text.money(row.profit, true)} className="font-semibold" />, sort: (row) => row.profit },
    { id: "percent", label: "performance.percent", numeric: true, cell: (row) => <Signed value={row.profit_frac} text={text.percent(row.profit_frac, 2, true)} />, sort: (row) => row.profit_frac },
    { id: "equity", label: "margin.equity", numeric: true, cell: (row) => text.money(row.end_equity), sort: (row) => row.end_equity },
    { id: "trades", label: "figure.trades", numeric: true, cell: (row) => row.trades, sort: (row) => row.trades },
    { id: "net", label: "performance.net", numeric: true, cell: (row) => <Signed value={row.net} text={text.money(row.net, true)} />, sort: (row) => row.net },
    { id: "fees", label: "margin.fees", numeric: true, cell: (row) => text.money(row.fees), sort: (row) => row.fees },
    { id: "funding", label: "margin.funding", numeric: true, cell: (row) => text.money(row.funding), sort: (row) => row.funding },
  ];
}

/** Profit by day, week or month, absolute and in percent. */
export function ProfitTable({ mode }: { mode: AccountMode }) {
  const { t } = useText();
  const [param, set] = useUrlParam("period");
  const period = PERIODS.find((name) => name === param) ?? "day";
  const query = useQuery({ ...profitQuery(mode, period), select: ({ items }) => items });
  return (
    <SimpleTable
      key={period}
      id="profit"
      query={query}
      columns={columns}
      rowKey={(row) => row.from_ts}
      words={{ title: "performance.periods", caption: "performance.periods.caption", empty: "performance.empty", emptyWhat: "performance.empty.what" }}
      aside={<Segmented label={t("performance.period")} testId="profit-period" value={period} options={PERIODS.map((value) => ({ value, text: t(`performance.period.${value}`) }))} onChange={(value) => set(value === "day" ? null : value)} />}
    />
  );
}
