"use client";

import { JobSheet } from "@/components/panels/JobSheet";
import { ModelComparison } from "@/components/panels/ModelComparison";
import { ModelReport } from "@/components/panels/ModelReport";
import { ModelsTable } from "@/components/tables/ModelsTable";
import { RLDecisionsTable } from "@/components/tables/RLDecisionsTable";
import { RLModelsTable } from "@/components/tables/RLModelsTable";
import { SchedulesTable } from "@/components/tables/SchedulesTable";
import { TrainingJobsTable } from "@/components/tables/TrainingJobsTable";
import { Tabs } from "@/components/ui/tabs";
import { useText } from "@/lib/i18n/useText";
import { useUrlParam } from "@/lib/useUrlState";
import { PageFrame } from "./PageFrame";

const TABS = ["models", "schedules", "rl"] as const;

/** Jobs and their progress, models and what speaks for them, what comes by itself, and the agent. */
export function TrainingView() {
  const { t } = useText();
  const [param, setTab] = useUrlParam("tab");
  const tab = TABS.find((name) => name === param) ?? "models";
  const content = {
    models: (
      <>
        <TrainingJobsTable />
        <ModelsTable />
        <ModelComparison />
      </>
    ),
    schedules: <SchedulesTable />,
    rl: (
      <>
        <RLModelsTable />
        <RLDecisionsTable />
      </>
    ),
  };
  return (
    <PageFrame id="training" title="nav.training" lead="page.training.lead">
      <Tabs label={t("nav.training")} testId="training-tab" value={tab} onChange={(value) => setTab(value === "models" ? null : value)} tabs={TABS.map((id) => ({ id, text: t(`training.tab.${id}`), content: content[id] }))} />
      <ModelReport />
      <JobSheet />
    </PageFrame>
  );
}
