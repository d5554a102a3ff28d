"use client";

import { Confirm } from "@/components/data/Confirm";
import type { Job } from "@/lib/api/schemas";
import { isOver, mayRetry } from "@/lib/domain/jobs";
import { useText } from "@/lib/i18n/useText";
import { useJobCancel, useJobRetry } from "@/lib/queries/actions";

/** Cancel what runs, try again what failed. */
export function JobActs({ job }: { job: Job }) {
  const { t, words } = useText();
  const cancel = useJobCancel();
  const retry = useJobRetry();
  const name = { job: words("job", job.kind) };
  if (!isOver(job)) return <Confirm needs="operator" variant="danger" name={t("jobs.cancel")} title={t("jobs.cancel.title", name)} what={t("jobs.cancel.what")} reason testId={`job-cancel-${job.job_id}`} act={(reason) => cancel.mutateAsync({ job: job.job_id, reason })} />;
  if (mayRetry(job)) return <Confirm needs="operator" name={t("jobs.retry")} title={t("jobs.retry.title", name)} testId={`job-retry-${job.job_id}`} act={() => retry.mutateAsync(job.job_id)} />;
  return null;
}
