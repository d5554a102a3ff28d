"use client";

import { ModelsTable } from "@/components/tables/ModelsTable";
import { TrainingJobsTable } from "@/components/tables/TrainingJobsTable";
import { PageFrame } from "./PageFrame";

export function TrainingView() {
  return (
    <PageFrame id="training" title="nav.training" lead="page.training.lead">
      <TrainingJobsTable />
      <ModelsTable />
    </PageFrame>
  );
}
