"use client";

import { useQuery } from "@tanstack/react-query";
import { Play } from "lucide-react";
import { useState } from "react";
import { Confirm } from "@/components/data/Confirm";
import { Field } from "@/components/ui/field";
import { Select } from "@/components/ui/select";
import { JOB_FIELDS, jobParams, STARTABLE, type Startable } from "@/lib/domain/jobs";
import { useText } from "@/lib/i18n/useText";
import { useJobStart } from "@/lib/queries/actions";
import { modelsQuery } from "@/lib/queries/records";
import { setUrlParams } from "@/lib/useUrlState";

/** Ask for a job of a kind; what is left empty is as the settings say. */
export function JobStart() {
  const { t, words } = useText();
  const { data: models = [] } = useQuery(modelsQuery);
  const [kind, setKind] = useState<Startable>("train_model");
  const [written, setWritten] = useState<Record<string, string>>({});
  const start = useJobStart();
  const params = jobParams(kind, written);
  const set = (name: string, value: string) => setWritten({ ...written, [name]: value });
  return (
    <Confirm
      needs="operator"
      variant="primary"
      name={
        <>
          <Play aria-hidden /> {t("jobs.start")}
        </>
      }
      title={t("jobs.start")}
      what={t("jobs.start.what")}
      testId="job-start"
      ready={params !== null}
      onOpen={() => setWritten({})}
      act={async () => setUrlParams({ job: (await start.mutateAsync({ kind, params: params ?? {} })).job_id })}
    >
      <Select label={t("col.kind")} testId="job-kind" value={kind} options={STARTABLE.map((value) => ({ value, text: words("job", value) }))} onChange={setKind} />
      {JOB_FIELDS[kind].map(({ name, type }) =>
        type === "model" ? (
          <Select key={name} label={t("col.model")} testId={`job-param-${name}`} value={written[name] ?? ""} options={[{ value: "", text: t("jobs.newest") }, ...models.map((model) => ({ value: model.model_id, text: `${model.model_id.slice(0, 8)} · ${model.status}` }))]} onChange={(value) => set(name, value)} />
        ) : (
          <Field key={name} label={words("param", name)} hint={t("jobs.param.hint")} inputMode={type === "number" ? "decimal" : "text"} value={written[name] ?? ""} onChange={(event) => set(name, event.target.value)} data-testid={`job-param-${name}`} />
        ),
      )}
    </Confirm>
  );
}
