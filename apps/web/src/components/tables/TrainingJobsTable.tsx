"use client";

import { useQuery } from "@tanstack/react-query";
import { JOB_TONE } from "@/components/data/jobTone";
import { JobActs } from "@/components/panels/JobActs";
import { JobStart } from "@/components/panels/JobStart";
import { Badge } from "@/components/ui/badge";
import { Meter } from "@/components/ui/meter";
import type { Job } from "@/lib/api/schemas";
import type { Text } from "@/lib/i18n/useText";
import { jobsQuery } from "@/lib/queries/records";
import type { Column } from "@/lib/table/useTable";
import { setUrlParams } from "@/lib/useUrlState";
import { SimpleTable } from "./SimpleTable";

function jobColumns(text: Text): Column<Job>[] {
  const { t } = text;
  const stamp = (ts: string | null) => text.dayMinute(ts === null ? null : Date.parse(ts));
  return [
    { id: "kind", label: "col.kind", pinned: true, cell: (job) => (
        <button type="button" title={job.kind} onClick={() => setUrlParams({ job: job.job_id })} className="font-medium hover:text-brand hover:underline" data-testid={`job-open-${job.job_id}`}>
          {text.words("job", job.kind)}
        </button>
      ), sort: (job) => job.kind },
    { id: "status", label: "col.status", cell: (job) => <Badge tone={JOB_TONE[job.status]}>{t(`jobs.status.${job.status}`)}</Badge>, sort: (job) => job.status },
    {
      id: "progress",
      label: "col.progress",
      numeric: true,
      cell: (job) => (
        <span className="inline-flex w-44 items-center gap-2">
          <Meter label={t("col.progress")} value={job.progress} tone={job.status === "failed" ? "bad" : job.status === "succeeded" ? "good" : "brand"} />
          <span className="num w-9 shrink-0 text-right">{text.percent(job.progress, 0)}</span>
        </span>
      ),
      sort: (job) => job.progress,
    },
    {
      id: "stage",
      label: "col.stage",
      cell: (job) => (
        <span title={job.error ?? undefined} className={job.error === null ? "text-soft" : "text-bad"}>
          {job.error ?? job.stage} {job.eta_s !== null && <span className="num text-faint">{t("jobs.eta", { eta: text.duration(job.eta_s * 1_000) })}</span>}
        </span>
      ),
      csv: (job) => job.error ?? job.stage,
    },
    { id: "created", label: "col.created", numeric: true, cell: (job) => stamp(job.created_at), sort: (job) => Date.parse(job.created_at), csv: (job) => job.created_at },
    { id: "started", label: "col.started", numeric: true, cell: (job) => stamp(job.started_at), sort: (job) => (job.started_at === null ? null : Date.parse(job.started_at)), csv: (job) => job.started_at },
    { id: "ended", label: "col.ended", numeric: true, cell: (job) => stamp(job.ended_at), sort: (job) => (job.ended_at === null ? null : Date.parse(job.ended_at)), csv: (job) => job.ended_at },
    { id: "act", label: "col.act", cell: (job) => <JobActs job={job} /> },
  ];
}

export function TrainingJobsTable() {
  const query = useQuery(jobsQuery);
  return <SimpleTable id="jobs" query={query} columns={jobColumns} rowKey={(job) => job.job_id} words={{ title: "jobs.title", caption: "jobs.caption", empty: "jobs.empty", emptyWhat: "jobs.empty.what" }} aside={<JobStart />} />;
}
