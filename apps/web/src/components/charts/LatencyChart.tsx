"use client";

import { useQuery } from "@tanstack/react-query";
import { QueryView } from "@/components/data/QueryView";
import { Card, Figure } from "@/components/ui/card";
import { Empty } from "@/components/ui/states";
import type { LatencyStage } from "@/lib/api/schemas";
import type { Window } from "@/lib/domain/range";
import { useText } from "@/lib/i18n/useText";
import { latencyQuery } from "@/lib/queries/history";

const FIGURES = ["p50", "p90", "p99", "max"] as const;

function Stage({ stage, edges }: { stage: LatencyStage; edges: readonly number[] }) {
  const { t, words, fixed, fineDuration: short } = useText();
  const most = Math.max(...stage.counts, 1);
  const name = words("latency", stage.stage);
  const bin = (index: number) => (index === 0 ? `< ${short(edges[0] ?? 0)}` : index === edges.length ? `≥ ${short(edges.at(-1) ?? 0)}` : `${short(edges[index - 1] ?? 0)} – ${short(edges[index] ?? 0)}`);
  return (
    <section data-testid={`latency-${stage.stage}`}>
      <h3 className="flex items-baseline justify-between text-xs">
        <span className="font-medium">{name}</span>
        <span className="label">
          {t("latency.of", { count: fixed(stage.n) })} · {t(`latency.${stage.unit}`)}
        </span>
      </h3>
      <div role="img" aria-label={t("latency.chart", { stage: name, p50: short(stage.p50), p99: short(stage.p99) })} className="mt-1 flex h-14 items-end gap-px">
        {stage.counts.map((count, index) => (
          <span key={index} title={t("latency.bin", { bin: bin(index), count: fixed(count) })} className="flex h-full min-w-0 flex-1 items-end bg-raised/50">
            {/* A single minute among thousands is still seen. */}
            <span className="w-full bg-brand" style={{ height: count === 0 ? 0 : `max(2px, ${(count / most) * 100}%)` }} />
          </span>
        ))}
      </div>
      <div className="num mt-0.5 flex justify-between text-2xs text-faint" aria-hidden>
        <span>{bin(0)}</span>
        <span>{bin(edges.length)}</span>
      </div>
      <div className="mt-1 grid grid-cols-4 gap-2">
        {FIGURES.map((figure) => (
          <Figure key={figure} label={t(`latency.${figure}`)}>
            {short(stage[figure])}
          </Figure>
        ))}
      </div>
    </section>
  );
}

/** How long a minute took, by stage. */
export function LatencyChart({ window }: { window: Window }) {
  const { t } = useText();
  const query = useQuery(latencyQuery(window));
  return (
    <Card title={t("latency.title")} data-testid="card-latency">
      <QueryView query={query} what="latency.title" rows={5}>
        {({ stages, edges }) =>
          stages.every(({ n }) => n === 0) ? (
            <Empty title={t("latency.empty")}>{t("orders.empty.range")}</Empty>
          ) : (
            <div className="grid gap-x-6 gap-y-4 sm:grid-cols-2 xl:grid-cols-4">
              {stages.map((stage) => (
                <Stage key={stage.stage} stage={stage} edges={edges} />
              ))}
            </div>
          )
        }
      </QueryView>
    </Card>
  );
}
