"use client";

import { useQuery } from "@tanstack/react-query";
import { QueryView } from "@/components/data/QueryView";
import { AlertLink } from "@/components/data/AlertLink";
import { SymbolLink } from "@/components/data/SymbolLink";
import { Badge } from "@/components/ui/badge";
import { Card, Figure } from "@/components/ui/card";
import type { LiveState, RiskState } from "@/lib/api/schemas";
import { entryBlocks } from "@/lib/domain/risk";
import { useCodes } from "@/lib/i18n/useCodes";
import { useText } from "@/lib/i18n/useText";
import { riskQuery } from "@/lib/queries/risk";
import { KillSwitchControl } from "./KillSwitchControl";

function Causes({ live }: { live: LiveState }) {
  const { t, words, dayMinute } = useText();
  const inWords = useCodes();
  const blocks = entryBlocks(live);
  if (live.trips.length === 0 && blocks.length === 0) return <p className="text-xs text-faint">{t("risk.causes.none")}</p>;
  return (
    <ul className="flex flex-col gap-1.5" data-testid="risk-causes">
      {live.trips.map((trip) => (
        <li key={`${trip.code}:${trip.since}`} className="border-l-2 border-bad pl-2.5 text-xs" data-testid={`trip-${trip.code}`}>
          <span className="font-medium">{inWords(trip.code) ?? trip.code}</span> <span className="text-2xs text-faint">{trip.code}</span> <Badge tone="bad">{words("kill", trip.latch)}</Badge> <AlertLink code={trip.code} symbol={null} />
          <p className="text-soft">{trip.detail}</p>
          <p className="num text-2xs text-faint">
            {dayMinute(Date.parse(trip.since))} · {trip.by}
          </p>
        </li>
      ))}
      {blocks.map((block) => (
        <li key={`${block.code}:${block.symbol ?? ""}`} className="border-l-2 border-amber pl-2.5 text-xs" data-testid={`entry-block-${block.code}`}>
          <span className="font-medium">{inWords(block.code) ?? block.code}</span> {block.symbol === null ? <span className="text-soft">{t("risk.block.all")}</span> : <SymbolLink symbol={block.symbol} />}{" "}
          <span className="num text-2xs text-faint">{dayMinute(Date.parse(block.since))}</span>
        </li>
      ))}
    </ul>
  );
}

function Live({ live }: { live: LiveState }) {
  const { t, dayMinute, duration } = useText();
  const yes = (good: boolean) => <Badge tone={good ? "good" : "bad"}>{t(good ? "risk.yes" : "risk.no")}</Badge>;
  const naked = live.naked_ms;
  return (
    <div className="grid grid-cols-2 gap-3 sm:grid-cols-3" data-testid="risk-live">
      <Figure label={t("risk.live.stream")}>{yes(live.stream_up)}</Figure>
      <Figure label={t("risk.live.stop_path")} data-testid="risk-stop-path" title={Object.entries(live.proofs).map(([tier, at]) => `${tier}: ${dayMinute(Date.parse(at))}`).join(", ")}>
        {yes(live.stop_path_proven)}
      </Figure>
      <Figure label={t("risk.live.unprotected")}>{yes(live.unprotected.length === 0)}</Figure>
      <Figure label={t("risk.live.naked")} data-testid="risk-naked">
        {naked === null ? "–" : `${duration(naked.p50)} · ${duration(naked.p99)} · ${duration(naked.max)}`}
      </Figure>
      <Figure label={t("risk.live.paused")}>{live.paused.length === 0 ? t("risk.none") : live.paused.join(", ")}</Figure>
      <Figure label={t("risk.live.unknown")}>{live.entries_unknown}</Figure>
    </div>
  );
}

function Body({ state }: { state: RiskState }) {
  const { t } = useText();
  return (
    <div className="flex flex-col gap-4">
      <KillSwitchControl />
      {state.reason !== null && (
        <p className="text-xs text-soft" data-testid="kill-switch-reason-kept">
          {t("risk.reason", { reason: state.reason })}
        </p>
      )}
      {state.live === null ? (
        <p className="text-xs text-faint" data-testid="risk-no-live">
          {t("risk.live.none")}
        </p>
      ) : (
        <>
          <section>
            <h3 className="label mb-1">{t("risk.causes")}</h3>
            <Causes live={state.live} />
          </section>
          <Live live={state.live} />
        </>
      )}
    </div>
  );
}

/** Where the kill switch stands, what latched it, and the three things that can be done about it. */
export function LatchPanel() {
  const { t } = useText();
  const query = useQuery(riskQuery("shadow"));
  return (
    <Card title={t("kill.title")} data-testid="panel-kill-switch" alert={query.data && query.data.kill_switch !== "RUNNING" ? "bad" : null}>
      <QueryView query={query} what="kill.title" rows={4}>
        {(state) => <Body state={state} />}
      </QueryView>
    </Card>
  );
}
