"use client";

import { useQuery } from "@tanstack/react-query";
import { Badge } from "@/components/ui/badge";
import type { Gate } from "@/lib/api/schemas";
import { useCodes } from "@/lib/i18n/useCodes";
import type { Text } from "@/lib/i18n/useText";
import { gateQuery } from "@/lib/queries/risk";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

type Condition = Gate["conditions"][number];

function columns(text: Text): Column<Condition>[] {
  const { t } = text;
  return [
    { id: "code", label: "col.condition", pinned: true, cell: (row) => <ConditionName code={row.code} met={row.met} />, sort: (row) => row.code },
    { id: "met", label: "col.status", cell: (row) => <Badge tone={row.met ? "good" : "bad"}>{t(row.met ? "gate.met" : "gate.unmet")}</Badge>, sort: (row) => Number(row.met) },
    { id: "value", label: "why.value", cell: (row) => <span className="num">{row.value}</span>, csv: (row) => row.value },
    { id: "expected", label: "col.expected", cell: (row) => <span className="text-soft">{row.expected}</span>, csv: (row) => row.expected },
  ];
}

function ConditionName({ code, met }: { code: string; met: boolean }) {
  const words = useCodes()(code);
  return (
    <span className="flex max-w-md flex-col whitespace-normal">
      <span className="text-xs font-medium">{code}</span>
      {!met && words !== null && <span className="text-2xs text-soft">{words}</span>}
    </span>
  );
}

/** Everything that live trading needs, each condition named after what is wrong when it is not met (D35). */
export function GateTable() {
  const query = useQuery({ ...gateQuery, select: (gate) => gate.conditions });
  return <SimpleTable id="gate" query={query} columns={columns} rowKey={(row) => row.code} words={{ title: "gate.title", caption: "gate.caption", empty: "gate.empty", emptyWhat: "gate.empty.what" }} />;
}
