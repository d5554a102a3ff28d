"use client";

import { useQuery } from "@tanstack/react-query";
import { Confirm } from "@/components/data/Confirm";
import { ShareBar } from "@/components/data/ShareBar";
import { Badge } from "@/components/ui/badge";
import type { RLModel } from "@/lib/api/schemas";
import { useText, type Text } from "@/lib/i18n/useText";
import { useRLPromote } from "@/lib/queries/actions";
import { rlModelsQuery, rlModelStatsQuery } from "@/lib/queries/records";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

const metric = (model: RLModel, ...names: string[]) => {
  const found = names.map((name) => model.metrics[name]).find((value) => typeof value === "number");
  return typeof found === "number" ? found : null;
};
const PF = (model: RLModel) => metric(model, "profit_factor", "pf", "PF");
const WIN = (model: RLModel) => metric(model, "win_rate");
const SHARPE = (model: RLModel) => metric(model, "sharpe");
const MDD = (model: RLModel) => metric(model, "max_drawdown", "max_dd");

function columns(text: Text): Column<RLModel>[] {
  const { t } = text;
  return [
    { id: "model", label: "col.model", pinned: true, cell: (model) => <span className="num font-medium">{model.model_id}</span>, sort: (model) => model.model_id },
    { id: "symbol", label: "col.symbol", cell: (model) => model.symbol, sort: (model) => model.symbol },
    { id: "algo", label: "col.algo", cell: (model) => model.algorithm, sort: (model) => model.algorithm },
    { id: "production", label: "col.pointer", cell: (model) => model.is_production && <Badge tone="good">{t("models.pointer.production")}</Badge>, sort: (model) => Number(model.is_production) },
    { id: "pf", label: "figure.profit_factor", numeric: true, cell: (model) => text.fixed(PF(model), 2), sort: PF },
    { id: "win", label: "figure.win_rate", numeric: true, cell: (model) => text.percent(WIN(model), 1), sort: WIN },
    { id: "sharpe", label: "figure.sharpe", numeric: true, cell: (model) => text.fixed(SHARPE(model), 2), sort: SHARPE },
    { id: "mdd", label: "figure.max_drawdown", numeric: true, cell: (model) => text.percent(MDD(model), 1), sort: MDD },
    { id: "trained_on", label: "col.trained_on", numeric: true, cell: (model) => `${text.day(Date.parse(model.train_start))} … ${text.day(Date.parse(model.train_end))}`, sort: (model) => Date.parse(model.train_end), csv: (model) => `${model.train_start}/${model.train_end}` },
    { id: "actions", label: "col.actions", cell: (model) => <ActionShares model={model} /> },
    { id: "act", label: "col.act", cell: (model) => (model.is_production ? null : <PutInProduction model={model} />) },
  ];
}

/** How the model's actions of the last day are spread. */
function ActionShares({ model }: { model: RLModel }) {
  const { words } = useText();
  const { data } = useQuery(rlModelStatsQuery(model.model_id));
  if (data === undefined || data.decisions === 0) return null;
  const shares = [...data.actions].sort((a, b) => b.count - a.count).map(({ action_name, count }) => ({ name: words("action", action_name), share: count / data.decisions }));
  return <ShareBar testId={`rl-model-actions-${model.model_id}`} shares={shares} />;
}

function PutInProduction({ model }: { model: RLModel }) {
  const { t } = useText();
  const promote = useRLPromote();
  return <Confirm needs="admin" name={t("rl.promote")} title={t("rl.promote.title", { model: model.model_id, symbol: model.symbol })} what={t("rl.promote.what")} reason testId={`rl-promote-${model.model_id}`} act={(reason) => promote.mutateAsync({ model: model.model_id, reason })} />;
}

/** Models of the agent (§25.6). */
export function RLModelsTable() {
  const query = useQuery(rlModelsQuery);
  return <SimpleTable id="rl-models" query={query} columns={columns} rowKey={(model) => model.model_id} words={{ title: "rl.models", caption: "rl.models", empty: "rl.models.empty", emptyWhat: "rl.models.empty.what" }} />;
}
