"use client";

import { useQuery } from "@tanstack/react-query";
import { CheckCircle2, CircleSlash } from "lucide-react";
import { useState } from "react";
import { Confirm } from "@/components/data/Confirm";
import { QueryView } from "@/components/data/QueryView";
import { Badge } from "@/components/ui/badge";
import { Field } from "@/components/ui/field";
import type { Evidence } from "@/lib/api/actions";
import { ApiError } from "@/lib/api/client";
import { cn } from "@/lib/cn";
import { useText, type Text } from "@/lib/i18n/useText";
import { evidenceQuery, usePromote, useRollback } from "@/lib/queries/actions";

const shown = (value: unknown) => (value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));

/** What is expected, in the reader's language where there are words for it. */
function inWords(words: Text["words"], code: string, expected: unknown): string {
  const told = words("expected", code);
  return told === code ? shown(expected) : told;
}

function Conditions({ evidence }: { evidence: Evidence }) {
  const { t, words } = useText();
  return (
    <ul className="flex flex-col gap-1.5" data-testid="promote-conditions">
      {evidence.conditions.map(({ code, met, value, expected }) => {
        const Icon = met ? CheckCircle2 : CircleSlash;
        return (
          <li key={code} className="text-xs" data-testid={`promote-condition-${code}`} data-met={met}>
            <span className="flex items-center gap-1.5">
              <Icon aria-hidden className={cn("size-3.5 shrink-0", met ? "text-good" : "text-bad")} />
              <span className="font-medium">{words("condition", code)}</span>
              <Badge tone={met ? "good" : "bad"}>{t(met ? "gate.met" : "gate.unmet")}</Badge>
            </span>
            <p className="num pl-5 text-2xs text-soft">{t("promote.condition", { value: words("found", shown(value)), expected: inWords(words, code, expected) })}</p>
          </li>
        );
      })}
    </ul>
  );
}

function Override({ text, checked, onChange, testId }: { text: string; checked: boolean; onChange: (on: boolean) => void; testId: string }) {
  return (
    <label className="flex items-start gap-2 text-xs text-bad">
      <input type="checkbox" className="mt-0.5 size-3.5 accent-[var(--red)]" checked={checked} onChange={(event) => onChange(event.target.checked)} data-testid={testId} />
      {text}
    </label>
  );
}

function Promote({ model, evidence }: { model: string; evidence: Evidence }) {
  const { t } = useText();
  const promote = usePromote();
  const [override, setOverride] = useState(false);
  const unmet = evidence.conditions.filter(({ met }) => !met).length;
  const short = model.slice(0, 8);
  return (
    <Confirm
      needs="admin"
      size="md"
      variant={unmet > 0 ? "danger" : "primary"}
      name={t("promote.do")}
      title={t("promote.title", { model: short })}
      what={t(unmet > 0 ? "promote.unmet" : "promote.what", { count: unmet })}
      reason
      word={short}
      testId="promote"
      ready={unmet === 0 || override}
      onOpen={() => setOverride(false)}
      act={(reason) => promote.mutateAsync({ model, reason, confirm: model, ...(unmet > 0 && { override: true as const }) })}
    >
      <Conditions evidence={evidence} />
      {unmet > 0 && (
        <Override text={t("promote.override")} checked={override} onChange={setOverride} testId="promote-override" />
      )}
    </Confirm>
  );
}

/** What speaks for putting a model into production and what does not, and the button that does it. */
export function PromotePanel({ model }: { model: string }) {
  const { t } = useText();
  const query = useQuery(evidenceQuery(model));
  return (
    <section data-testid="panel-promote">
      <h3 className="label mb-1.5">{t("promote.evidence")}</h3>
      <QueryView query={query} what="promote.evidence" rows={3}>
        {(evidence) => (
          <div className="flex flex-col items-start gap-3">
            <Conditions evidence={evidence} />
            {evidence.report_url !== null && (
              <a href={evidence.report_url} className="text-xs text-brand hover:underline" data-testid="promote-report">
                {t("promote.report")}
              </a>
            )}
            <Promote model={model} evidence={evidence} />
          </div>
        )}
      </QueryView>
    </section>
  );
}

/**
 * Back to the model that served before. Where its evidence is not whole any more the API refuses, naming it and what is
 * unmet; whoever has read that may override, by writing its id.
 */
export function RollbackButton() {
  const { t } = useText();
  const rollback = useRollback();
  const [unmet, setUnmet] = useState(false);
  const [override, setOverride] = useState(false);
  const [target, setTarget] = useState("");
  const open = () => {
    setUnmet(false);
    setOverride(false);
    setTarget("");
  };
  const act = async (reason: string) => {
    try {
      await rollback.mutateAsync({ reason, ...(override && { override: true as const, confirm: target.trim() }) });
    } catch (error) {
      if (error instanceof ApiError && error.conditions.some(({ code }) => code.startsWith("EVIDENCE_"))) setUnmet(true);
      throw error;
    }
  };
  return (
    <Confirm needs="admin" variant="danger" name={t("rollback.do")} title={t("rollback.title")} what={t("rollback.what")} reason testId="rollback" ready={!unmet || (override && target.trim() !== "")} onOpen={open} act={act}>
      {unmet && (
        <>
          <Override text={t("rollback.override")} checked={override} onChange={setOverride} testId="rollback-override" />
          <Field label={t("rollback.target")} hint={t("rollback.target.what")} value={target} onChange={(event) => setTarget(event.target.value)} maxLength={60} spellCheck={false} className="num" data-testid="rollback-target" />
        </>
      )}
    </Confirm>
  );
}
