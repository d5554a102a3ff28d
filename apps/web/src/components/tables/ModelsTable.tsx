"use client";

import { useQuery } from "@tanstack/react-query";
import { useCompared } from "@/components/panels/ModelComparison";
import { RollbackButton } from "@/components/panels/PromotePanel";
import { Badge, type Tone } from "@/components/ui/badge";
import type { Model } from "@/lib/api/schemas";
import { figureOf } from "@/lib/domain/training";
import { useText, type Text } from "@/lib/i18n/useText";
import { modelsQuery } from "@/lib/queries/records";
import type { Column } from "@/lib/table/useTable";
import { setUrlParams } from "@/lib/useUrlState";
import { SimpleTable } from "./SimpleTable";

const TONE: Record<string, Tone> = { production: "good", demo: "amber", challenger: "violet" };

function Compare({ model }: { model: Model }) {
  const { t } = useText();
  const [ids, set] = useCompared();
  const name = t("compare.choose", { model: model.model_id.slice(0, 8) });
  return <input type="checkbox" aria-label={name} title={name} checked={ids.includes(model.model_id)} onChange={(event) => set(model.model_id, event.target.checked)} data-testid={`compare-choose-${model.model_id}`} className="size-3.5 accent-[var(--brand)]" />;
}

/** That it was promoted without whole evidence is never forgotten. */
function OverrideMark({ model }: { model: Model }) {
  const { t } = useText();
  const last = model.overrides.at(-1);
  if (last === undefined) return null;
  return (
    <Badge tone="bad" title={t("models.override.what", { author: last.author, missing: last.missing.join(", "), reason: last.reason })} data-testid={`model-override-${model.model_id}`}>
      {t("models.override")}
    </Badge>
  );
}

function modelColumns(text: Text): Column<Model>[] {
  const { words } = text;
  return [
    {
      id: "model",
      label: "col.model",
      pinned: true,
      cell: (model) => (
        <span className="inline-flex items-center gap-2">
          <Compare model={model} />
          <button type="button" onClick={() => setUrlParams({ model: model.model_id })} title={text.t("models.open", { model: model.model_id })} data-testid={`model-open-${model.model_id}`} className="num rounded font-medium hover:text-brand hover:underline">
            {model.model_id.slice(0, 8)}
          </button>
        </span>
      ),
      sort: (model) => model.model_id,
    },
    { id: "algo", label: "col.algo", cell: (model) => model.algo, sort: (model) => model.algo },
    { id: "status", label: "col.status", cell: (model) => <span className="text-soft">{words("found", model.status)}</span>, sort: (model) => model.status },
    {
      id: "pointer",
      label: "col.pointer",
      // One model may serve as several things at once.
      cell: (model) => (
        <>
          {model.pointer?.split(",").map((pointer) => (
            <Badge key={pointer} tone={TONE[pointer] ?? "neutral"} className="mr-1">
              {words("models.pointer", pointer)}
            </Badge>
          ))}
          <OverrideMark model={model} />
        </>
      ),
      sort: (model) => model.pointer,
    },
    { id: "pf", label: "figure.profit_factor", numeric: true, cell: (model) => text.fixed(figureOf(model, "profit_factor"), 2), sort: (model) => figureOf(model, "profit_factor") },
    { id: "mdd", label: "figure.max_drawdown", numeric: true, cell: (model) => text.percent(figureOf(model, "max_drawdown"), 1), sort: (model) => figureOf(model, "max_drawdown") },
    { id: "trades", label: "figure.trades", numeric: true, cell: (model) => text.fixed(figureOf(model, "trades")), sort: (model) => figureOf(model, "trades") },
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
  return <SimpleTable id="models" query={query} columns={modelColumns} rowKey={(model) => model.model_id} words={{ title: "models.title", caption: "models.caption", empty: "models.empty", emptyWhat: "models.empty.what" }} aside={<RollbackButton />} />;
}
