"use client";

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { QueryView } from "@/components/data/QueryView";
import { Badge } from "@/components/ui/badge";
import { Card } from "@/components/ui/card";
import { DataTable, TableTools } from "@/components/ui/data-table";
import { Empty } from "@/components/ui/states";
import type { Instrument, Position } from "@/lib/api/schemas";
import { useText } from "@/lib/i18n/useText";
import { liveAccountQuery, livePositionsQuery, positionsQuery, universeQuery } from "@/lib/queries/live";
import { useTable } from "@/lib/table/useTable";
import { positionColumns } from "./positionColumns";

function Body({ positions, instruments, both }: { positions: readonly Position[]; instruments: readonly Instrument[]; both: boolean }) {
  const text = useText();
  const columns = useMemo(() => positionColumns(text, new Map(instruments.map((instrument) => [instrument.symbol, instrument])), both), [text, instruments, both]);
  const table = useTable({ id: "positions", columns, rows: positions, rowKey: (position) => `${position.mode}:${position.symbol}` });
  return (
    <>
      <div className="flex items-center justify-end gap-1.5 border-b border-line px-2 py-1">
        <span className="num label mr-auto">{text.t("table.rows", { count: positions.length })}</span>
        <TableTools table={table} />
      </div>
      <DataTable
        table={table}
        caption={text.t("positions.caption")}
        rowClassName={(position) => (position.protected ? undefined : "bg-bad-soft")}
        empty={<Empty title={text.t("positions.empty")}>{text.t("positions.empty.what")}</Empty>}
      />
    </>
  );
}

/** Open positions of both accounts in the exchange's words, with stop, target and how near either is. */
export function PositionsTable() {
  const { t } = useText();
  const positions = useQuery(positionsQuery);
  const { data: live = [] } = useQuery(livePositionsQuery);
  const { data: account } = useQuery(liveAccountQuery);
  const universe = useQuery(universeQuery);
  const both = Boolean(account) || live.length > 0;
  return (
    <Card
      title={t(both ? "positions.title.live" : "positions.title")}
      data-testid="card-positions"
      alert={[...live, ...(positions.data ?? [])].some((position) => !position.protected) ? "bad" : null}
      aside={
        <>
          {both && <Badge tone="good">{t("mode.LIVE")}</Badge>}
          <Badge tone="violet">{t("mode.SHADOW")}</Badge>
        </>
      }
      bodyClassName="p-0"
    >
      <QueryView query={positions} what="positions.title" rows={3}>
        {(rows) => <Body positions={[...live, ...rows]} instruments={universe.data ?? []} both={both} />}
      </QueryView>
    </Card>
  );
}
