"use client";

import { useQuery } from "@tanstack/react-query";
import { CheckCircle2, CircleSlash } from "lucide-react";
import { ModelFigure } from "@/components/data/ModelFigure";
import { QueryView } from "@/components/data/QueryView";
import { Badge } from "@/components/ui/badge";
import { Figure } from "@/components/ui/card";
import { Dialog, DialogContent } from "@/components/ui/dialog";
import type { ModelDetail } from "@/lib/api/schemas";
import { cn } from "@/lib/cn";
import { figureOf, FIGURES, verdictOf } from "@/lib/domain/training";
import { useText } from "@/lib/i18n/useText";
import { modelQuery } from "@/lib/queries/records";
import { useUrlParam } from "@/lib/useUrlState";
import { PromotePanel } from "./PromotePanel";

function Evidence({ model }: { model: ModelDetail }) {
  const { t, words, day, fixed } = useText();
  const figure = (value: unknown) => (typeof value !== "number" ? String(value) : fixed(value, Number.isInteger(value) ? 0 : 3));
  if (model.evidence.length === 0) return <p className="text-xs text-faint">{t("model.evidence.none")}</p>;
  return (
    <ul className="flex flex-col gap-1.5" data-testid="model-evidence">
      {model.evidence.map((entry) => {
        const Icon = entry.valid ? CheckCircle2 : CircleSlash;
        return (
          <li key={`${entry.kind}:${entry.created_at}`} className="text-xs">
            <span className="flex items-center gap-1.5">
              <Icon aria-hidden className={cn("size-3.5", entry.valid ? "text-good" : "text-bad")} />
              <span className="font-medium">{words("evidence", entry.kind)}</span>
              <Badge tone={entry.valid ? "good" : entry.passed ? "amber" : "bad"}>{t(entry.valid ? "model.evidence.valid" : entry.passed ? "model.evidence.expired" : "model.evidence.failed")}</Badge>
              <span className="num ml-auto text-2xs text-faint">
                {day(Date.parse(entry.created_at))}
                {entry.valid_until !== null && ` → ${day(Date.parse(entry.valid_until))}`}
              </span>
            </span>
            <p className="num truncate pl-5 text-2xs text-faint" title={JSON.stringify(entry.figures)}>
              {Object.entries(entry.figures)
                .filter(([, value]) => typeof value !== "object")
                .map(([name, value]) => `${words("figure", name)} ${figure(value)}`)
                .join(" · ")}
            </p>
          </li>
        );
      })}
    </ul>
  );
}

function Body({ model }: { model: ModelDetail }) {
  const { t, words, language, day } = useText();
  const verdict = verdictOf(model, language);
  return (
    <div className="flex flex-col gap-4">
      <p className="num text-xs text-soft">
        {model.algo} · {day(Date.parse(model.train_start))} … {day(Date.parse(model.train_end))} · v{model.feature_schema_version}
      </p>
      {verdict === null ? (
        <p className="text-xs text-faint">{t("model.report.none")}</p>
      ) : (
        <p className="border-l-2 border-amber pl-2.5 text-xs" data-testid="model-verdict">
          <span className="font-semibold">{verdict.code}</span> {verdict.text}
        </p>
      )}
      <section>
        <h3 className="label mb-1.5">{t("model.report.walkforward")}</h3>
        <div className="grid grid-cols-2 gap-x-4 gap-y-2 sm:grid-cols-4" data-testid="model-figures">
          {FIGURES.map(({ name, kind }) => (
            <Figure key={name} label={words("figure", name)} data-testid={`figure-${name}`}>
              <ModelFigure value={figureOf(model, name)} kind={kind} />
            </Figure>
          ))}
        </div>
      </section>
      <section>
        <h3 className="label mb-1.5">{t("model.evidence")}</h3>
        <Evidence model={model} />
      </section>
      <PromotePanel model={model.model_id} />
      <details className="text-xs">
        <summary className="label">{t("model.label_spec")}</summary>
        <dl className="mt-1 grid grid-cols-[auto_1fr] gap-x-4 gap-y-0.5">
          {Object.entries(model.label_spec).map(([name, value]) => (
            <div key={name} className="contents">
              <dt className="text-soft">{name}</dt>
              <dd className="num truncate">{typeof value === "object" ? JSON.stringify(value) : String(value)}</dd>
            </div>
          ))}
        </dl>
      </details>
    </div>
  );
}

/** The report of the model that the address names: `?model=ID`. */
export function ModelReport() {
  const { t } = useText();
  const [id, setId] = useUrlParam("model");
  const query = useQuery({ ...modelQuery(id ?? ""), enabled: id !== null });
  return (
    <Dialog open={id !== null} onOpenChange={(open) => !open && setId(null)}>
      {id !== null && (
        <DialogContent title={t("model.report", { model: id.slice(0, 8) })} closeLabel={t("dialog.close")} data-testid="model-report" className="w-[min(48rem,calc(100vw-1.5rem))]">
          <div className="overflow-y-auto p-4">
            <QueryView query={query} what="models.title" rows={8}>
              {(model) => <Body model={model} />}
            </QueryView>
          </div>
        </DialogContent>
      )}
    </Dialog>
  );
}
