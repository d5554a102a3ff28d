"use client";

import { useQuery } from "@tanstack/react-query";
import { Badge, type Tone } from "@/components/ui/badge";
import type { Model } from "@/lib/api/schemas";
import type { Text } from "@/lib/i18n/useText";
import { modelsQuery } from "@/lib/queries/records";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

const TONE: Record<string, Tone> = { production: "good", demo: "amber", challenger: "violet" };

function modelColumns(text: Text): Column<Model>[] {
  const { words } = text;
  return [
    { id: "model", label: "col.model", pinned: true, cell: (model) => <span className="num font-medium" title={model.model_id}>{model.model_id.slice(0, 8)}</span>, sort: (model) => model.model_id },
    { id: "algo", label: "col.algo", cell: (model) => model.algo, sort: (model) => model.algo },
    { id: "status", label: "col.status", cell: (model) => <span className="text-soft">{model.status}</span>, sort: (model) => model.status },
    {
      id: "pointer",
      label: "col.pointer",
      // One model may serve as several things at once.
      cell: (model) => model.pointer?.split(",").map((pointer) => (
        <Badge key={pointer} tone={TONE[pointer] ?? "neutral"} className="mr-1">
          {words("models.pointer", pointer)}
        </Badge>
      )),
      sort: (model) => model.pointer,
    },
    { id: "created", label: "col.created", numeric: true, cell: (model) => text.dayMinute(Date.parse(model.created_at)), sort: (model) => Date.parse(model.created_at), csv: (model) => model.created_at },
    {
      id: "trained_on",
      label: "col.trained_on",
      numeric: true,
      cell: (model) => `${text.day(Date.parse(model.train_start))} … ${text.day(Date.parse(model.train_end))}`,
      sort: (model) => Date.parse(model.train_end),
      csv: (model) => `${model.train_start}/${model.train_end}`,
    },
    { id: "schema", label: "col.schema", numeric: true, cell: (model) => `v${model.feature_schema_version}`, sort: (model) => model.feature_schema_version },
    { id: "label", label: "col.label", optional: true, cell: (model) => <span className="num text-2xs">{model.label_spec_hash.slice(0, 12)}</span>, sort: (model) => model.label_spec_hash },
  ];
}

export function ModelsTable() {
  const query = useQuery(modelsQuery);
  return <SimpleTable id="models" query={query} columns={modelColumns} rowKey={(model) => model.model_id} words={{ title: "models.title", caption: "models.caption", empty: "models.empty", emptyWhat: "models.empty.what" }} />;
}
