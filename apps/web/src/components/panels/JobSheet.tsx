"use client";

import { useQuery } from "@tanstack/react-query";
import { JOB_TONE } from "@/components/data/jobTone";
import { QueryView } from "@/components/data/QueryView";
import { Badge } from "@/components/ui/badge";
import { Figure } from "@/components/ui/card";
import { Dialog, DialogContent } from "@/components/ui/dialog";
import { Meter } from "@/components/ui/meter";
import { Empty } from "@/components/ui/states";
import type { Job } from "@/lib/api/schemas";
import { useText } from "@/lib/i18n/useText";
import { jobsQuery } from "@/lib/queries/records";
import { useUrlParam } from "@/lib/useUrlState";
import { JobActs } from "./JobActs";

function Body({ job }: { job: Job }) {
  const { t, percent, dayMinute, duration } = useText();
  const stamp = (ts: string | null) => dayMinute(ts === null ? null : Date.parse(ts));
  return (
    <div className="flex flex-col gap-4" data-testid="job-sheet-body">
      <div className="flex items-center gap-3">
        <Badge tone={JOB_TONE[job.status]}>{t(`jobs.status.${job.status}`)}</Badge>
        <Meter label={t("col.progress")} value={job.progress} tone={job.status === "failed" ? "bad" : job.status === "succeeded" ? "good" : "brand"} className="flex-1" />
        <span className="num text-xs">{percent(job.progress, 0)}</span>
        <JobActs job={job} />
      </div>
      {job.error !== null && <p className="border-l-2 border-bad pl-2.5 text-xs text-bad">{job.error}</p>}
      <div className="grid grid-cols-2 gap-3 sm:grid-cols-4">
        <Figure label={t("col.stage")}>{job.stage ?? "–"}</Figure>
        <Figure label={t("jobs.left")}>{duration(job.eta_s === null ? null : job.eta_s * 1_000)}</Figure>
        <Figure label={t("col.started")}>{stamp(job.started_at)}</Figure>
        <Figure label={t("col.ended")}>{stamp(job.ended_at)}</Figure>
      </div>
      <section>
        <h3 className="label mb-1">{t("jobs.config")}</h3>
        <pre className="num overflow-x-auto rounded bg-panel-2 p-2 text-2xs" tabIndex={0} aria-label={t("jobs.config")}>
          {JSON.stringify(job.config, null, 2)}
        </pre>
      </section>
      {job.report_uri !== null && (
        <p className="num text-2xs break-all text-faint" data-testid="job-report">
          {t("jobs.report")} {job.report_uri.startsWith("/") ? <a href={job.report_uri} className="text-brand hover:underline">{job.report_uri}</a> : job.report_uri}
        </p>
      )}
    </div>
  );
}

/** The job that the address names, `?job=ID`: a reload or a link follows it on. */
export function JobSheet() {
  const { t, words } = useText();
  const [id, setId] = useUrlParam("job");
  const query = useQuery({ ...jobsQuery, enabled: id !== null });
  const job = query.data?.find((one) => one.job_id === id);
  return (
    <Dialog open={id !== null} onOpenChange={(open) => !open && setId(null)}>
      {id !== null && (
        <DialogContent title={job === undefined ? id.slice(0, 8) : words("job", job.kind)} closeLabel={t("dialog.close")} data-testid="job-sheet">
          <div className="overflow-y-auto p-4">
            <QueryView query={query} what="jobs.title" rows={5}>
              {() => (job === undefined ? <Empty title={t("jobs.unknown")}>{t("jobs.unknown.what")}</Empty> : <Body job={job} />)}
            </QueryView>
          </div>
        </DialogContent>
      )}
    </Dialog>
  );
}
