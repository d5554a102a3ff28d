"use client";

import { useQuery } from "@tanstack/react-query";
import { Badge } from "@/components/ui/badge";
import { recurring, type Recurring } from "@/lib/domain/training";
import { duration } from "@/lib/format/time";
import type { Text } from "@/lib/i18n/useText";
import { jobsQuery } from "@/lib/queries/records";
import type { Column } from "@/lib/table/useTable";
import { JOB_TONE } from "./TrainingJobsTable";
import { SimpleTable } from "./SimpleTable";

function columns(text: Text): Column<Recurring>[] {
  const { t, words } = text;
  return [
    { id: "kind", label: "col.kind", pinned: true, cell: (row) => <span className="font-medium">{words("job", row.kind)}</span>, sort: (row) => row.kind },
    { id: "every", label: "col.every", numeric: true, cell: (row) => duration(row.everyMs), sort: (row) => row.everyMs },
    { id: "slot", label: "col.slot", numeric: true, cell: (row) => text.dayMinute(row.lastSlot), sort: (row) => row.lastSlot },
    { id: "status", label: "col.status", cell: (row) => <Badge tone={JOB_TONE[row.last.status]}>{t(`jobs.status.${row.last.status}`)}</Badge>, sort: (row) => row.last.status },
    { id: "runs", label: "col.runs", numeric: true, cell: (row) => row.runs, sort: (row) => row.runs },
    { id: "failed", label: "col.failed", numeric: true, cell: (row) => <span className={row.failed > 0 ? "text-bad" : undefined}>{row.failed}</span>, sort: (row) => row.failed },
  ];
}

/** Jobs that come by themselves (D42), as they came: their rhythm in market time, and how the last one ended. */
export function SchedulesTable() {
  const query = useQuery({ ...jobsQuery, select: recurring });
  return <SimpleTable id="schedules" query={query} columns={columns} rowKey={(row) => row.kind} words={{ title: "schedules.title", caption: "schedules.caption", empty: "schedules.empty", emptyWhat: "schedules.empty.what" }} />;
}
