"use client";

import { useQuery } from "@tanstack/react-query";
import { Badge, type Tone } from "@/components/ui/badge";
import { Meter } from "@/components/ui/meter";
import type { Guard } from "@/lib/api/schemas";
import { guardState, isCount, NEAR, type GuardState } from "@/lib/domain/risk";
import type { Text } from "@/lib/i18n/useText";
import { riskQuery, type AccountMode } from "@/lib/queries/risk";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

const TONE: Record<GuardState, Tone> = { unknown: "outline", ok: "good", near: "amber", over: "bad" };
const METER: Record<GuardState, "brand" | "good" | "amber" | "bad"> = { unknown: "brand", ok: "good", near: "amber", over: "bad" };

/** A guard's figure in its own unit: pieces, or percent of the equity. */
function figure(guard: Guard, value: number | null, text: Text): string {
  return isCount(guard) ? text.fixed(value) : text.percent(value, 2);
}

function guardColumns(text: Text): Column<Guard>[] {
  const { t, words } = text;
  return [
    {
      id: "guard",
      label: "col.guard",
      pinned: true,
      cell: (guard) => (
        <span title={text.why(guard.code)}>
          <span className="font-medium">{words("reason", guard.code)}</span> <span className="hidden text-2xs text-faint sm:inline">{guard.code}</span>
        </span>
      ),
      csv: (guard) => guard.code,
    },
    { id: "value", label: "why.value", numeric: true, cell: (guard) => <span className="font-semibold">{figure(guard, guard.value, text)}</span>, sort: (guard) => guard.value },
    { id: "limit", label: "why.limit", numeric: true, cell: (guard) => figure(guard, guard.limit, text), sort: (guard) => guard.limit },
    { id: "distance", label: "why.distance", numeric: true, cell: (guard) => figure(guard, guard.distance, text), sort: (guard) => guard.distance },
    {
      id: "used",
      label: "col.used",
      numeric: true,
      cell: (guard) => (
        <span className="inline-flex w-40 items-center gap-2">
          <Meter label={t("risk.used", { guard: words("reason", guard.code) })} value={guard.used ?? 0} limit={NEAR} tone={METER[guardState(guard)]} />
          <span className="num w-12 shrink-0 text-right">{text.percent(guard.used, 0)}</span>
        </span>
      ),
      sort: (guard) => guard.used,
    },
    { id: "state", label: "col.status", cell: (guard) => <Badge tone={TONE[guardState(guard)]}>{t(`risk.guard.${guardState(guard)}`)}</Badge>, sort: guardState },
  ];
}

/** Every account guard as value, limit and distance (D23). */
export function GuardsTable({ mode }: { mode: AccountMode }) {
  const query = useQuery({ ...riskQuery(mode), select: (state) => state.guards });
  const states = (query.data ?? []).map(guardState);
  const alert = states.includes("over") ? "bad" : states.includes("near") ? "amber" : null;
  return <SimpleTable id="guards" query={query} alert={alert} columns={guardColumns} rowKey={(guard) => guard.code} words={{ title: "risk.guards", caption: "risk.guards.caption", empty: "risk.guards.empty", emptyWhat: "risk.guards.empty.what" }} />;
}
