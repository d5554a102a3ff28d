"use client";

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ActButton } from "@/components/data/ActButton";
import { Confirm } from "@/components/data/Confirm";
import { JOB_TONE } from "@/components/data/jobTone";
import { Refusal } from "@/components/data/Refusal";
import { Badge } from "@/components/ui/badge";
import { Field } from "@/components/ui/field";
import { lengthMs, recurring, scheduled, type Scheduled } from "@/lib/domain/training";
import { useText, type Text } from "@/lib/i18n/useText";
import { schedulesQuery, useScheduleChange, useScheduleRun } from "@/lib/queries/actions";
import { jobsQuery } from "@/lib/queries/records";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

function Rhythm({ row }: { row: Scheduled }) {
  const { t, words } = useText();
  const change = useScheduleChange();
  const [every, setEvery] = useState(row.every);
  const [at, setAt] = useState(row.at);
  const reset = () => {
    setEvery(row.every);
    setAt(row.at);
  };
  return (
    <Confirm
      needs="operator"
      name={t("schedules.change")}
      title={t("schedules.change.title", { name: words("job", row.name) })}
      what={t("schedules.change.what", row.byDefault)}
      testId={`schedule-change-${row.name}`}
      onOpen={reset}
      ready={lengthMs(every) !== null && lengthMs(at) !== null && (every !== row.every || at !== row.at)}
      act={() => change.mutateAsync({ name: row.name, every: every.trim(), at: at.trim() })}
    >
      <Field label={t("schedules.every")} value={every} onChange={(event) => setEvery(event.target.value)} data-testid="schedule-every" />
      <Field label={t("schedules.at")} value={at} onChange={(event) => setAt(event.target.value)} data-testid="schedule-at" />
    </Confirm>
  );
}

function Acts({ row }: { row: Scheduled }) {
  const { t, words } = useText();
  const run = useScheduleRun();
  const change = useScheduleChange();
  const name = { name: words("job", row.name) };
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
      <Rhythm row={row} />
      <Refusal error={run.error} />
    </span>
  );
}

function columns(text: Text): Column<Scheduled>[] {
  const { t, words } = text;
  return [
    { id: "kind", label: "col.kind", pinned: true, cell: (row) => <span className="font-medium">{words("job", row.name)}</span>, sort: (row) => row.name },
    { id: "enabled", label: "col.enabled", cell: (row) => <Badge tone={row.enabled ? "good" : "outline"}>{t(row.enabled ? "schedules.on" : "schedules.off")}</Badge>, sort: (row) => Number(row.enabled) },
    { id: "every", label: "col.every", numeric: true, cell: (row) => text.duration(row.everyMs), sort: (row) => row.everyMs },
    { id: "at", label: "schedules.at", numeric: true, optional: true, cell: (row) => row.at, sort: (row) => row.at },
    { id: "next", label: "col.next", numeric: true, cell: (row) => text.dayMinute(row.nextSlot), sort: (row) => row.nextSlot },
    { id: "status", label: "col.status", cell: (row) => row.last && <Badge tone={JOB_TONE[row.last.status]}>{t(`jobs.status.${row.last.status}`)}</Badge>, sort: (row) => row.last?.status },
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
