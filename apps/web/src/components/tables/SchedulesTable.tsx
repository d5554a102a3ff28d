"use client";

import { useQuery } from "@tanstack/react-query";
import { ActButton } from "@/components/data/ActButton";
import { Confirm } from "@/components/data/Confirm";
import { JOB_TONE } from "@/components/data/jobTone";
import { Refusal } from "@/components/data/Refusal";
import { Badge } from "@/components/ui/badge";
import { recurring, scheduled, type Scheduled } from "@/lib/domain/training";
import { duration } from "@/lib/format/time";
import { useText, type Text } from "@/lib/i18n/useText";
import { schedulesQuery, useScheduleChange, useScheduleRun } from "@/lib/queries/actions";
import { jobsQuery } from "@/lib/queries/records";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

function Acts({ row }: { row: Scheduled }) {
  const { t, words } = useText();
  const run = useScheduleRun();
  const change = useScheduleChange();
  const name = { name: words("job", row.kind) };
  return (
    <span className="inline-flex items-center gap-1.5">
      <ActButton needs="operator" size="sm" disabled={run.isPending} onClick={() => run.mutate(row.name)} data-testid={`schedule-run-${row.name}`}>
        {t("schedules.run")}
      </ActButton>
      <Confirm
        needs="operator"
        variant={row.enabled ? "danger" : "outline"}
        name={t(row.enabled ? "schedules.disable" : "schedules.enable")}
        title={t(row.enabled ? "schedules.disable.title" : "schedules.enable.title", name)}
        testId={`schedule-toggle-${row.name}`}
        act={() => change.mutateAsync({ name: row.name, enabled: !row.enabled })}
      />
      <Refusal error={run.error} />
    </span>
  );
}

function columns(text: Text): Column<Scheduled>[] {
  const { t, words } = text;
  return [
    { id: "kind", label: "col.kind", pinned: true, cell: (row) => <span className="font-medium">{words("job", row.kind)}</span>, sort: (row) => row.kind },
    { id: "enabled", label: "col.enabled", cell: (row) => <Badge tone={row.enabled ? "good" : "outline"}>{t(row.enabled ? "schedules.on" : "schedules.off")}</Badge>, sort: (row) => Number(row.enabled) },
    { id: "every", label: "col.every", numeric: true, cell: (row) => duration(row.everyMs), sort: (row) => row.everyMs },
    { id: "slot", label: "col.slot", numeric: true, cell: (row) => text.dayMinute(row.lastSlot), sort: (row) => row.lastSlot },
    { id: "next", label: "col.next", numeric: true, cell: (row) => text.dayMinute(row.nextSlot), sort: (row) => row.nextSlot },
    { id: "status", label: "col.status", cell: (row) => row.last && <Badge tone={JOB_TONE[row.last]}>{t(`jobs.status.${row.last}`)}</Badge>, sort: (row) => row.last },
    { id: "runs", label: "col.runs", numeric: true, cell: (row) => row.runs, sort: (row) => row.runs },
    { id: "failed", label: "col.failed", numeric: true, cell: (row) => <span className={row.failed > 0 ? "text-bad" : undefined}>{row.failed}</span>, sort: (row) => row.failed },
    { id: "act", label: "col.act", cell: (row) => <Acts row={row} /> },
  ];
}

/** Jobs that come by themselves (D42): their rhythm in market time, how the last one ended, and whether they come at all. */
export function SchedulesTable() {
  const { data: jobs = [] } = useQuery(jobsQuery);
  const query = useQuery({ ...schedulesQuery, select: (schedules) => scheduled(schedules, recurring(jobs)) });
  return <SimpleTable id="schedules" query={query} columns={columns} rowKey={(row) => row.name} words={{ title: "schedules.title", caption: "schedules.caption", empty: "schedules.empty", emptyWhat: "schedules.empty.what" }} />;
}
