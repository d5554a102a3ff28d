"use client";

import { useQuery } from "@tanstack/react-query";
import { Badge } from "@/components/ui/badge";
import type { Gate } from "@/lib/api/schemas";
import type { Text } from "@/lib/i18n/useText";
import { gateQuery } from "@/lib/queries/risk";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

type Condition = Gate["conditions"][number];

function columns(text: Text): Column<Condition>[] {
  const { t } = text;
  return [
    { id: "code", label: "col.condition", pinned: true, cell: (row) => <span className="text-xs font-medium">{row.code}</span>, sort: (row) => row.code },
    { id: "met", label: "col.status", cell: (row) => <Badge tone={row.met ? "good" : "bad"}>{t(row.met ? "gate.met" : "gate.unmet")}</Badge>, sort: (row) => Number(row.met) },
    { id: "value", label: "why.value", cell: (row) => <span className="num">{row.value}</span>, csv: (row) => row.value },
    { id: "expected", label: "col.expected", cell: (row) => <span className="text-soft">{row.expected}</span>, csv: (row) => row.expected },
  ];
}

/** Everything that live trading needs, each condition named after what is wrong when it is not met (D35). */
export function GateTable() {
  const query = useQuery({ ...gateQuery, select: (gate) => gate.conditions });
  return <SimpleTable id="gate" query={query} columns={columns} rowKey={(row) => row.code} words={{ title: "gate.title", caption: "gate.caption", empty: "gate.empty", emptyWhat: "gate.empty.what" }} />;
}
