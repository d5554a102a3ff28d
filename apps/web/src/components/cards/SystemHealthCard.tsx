"use client";

import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { QueryView } from "@/components/data/QueryView";
import { Badge } from "@/components/ui/badge";
import { Card } from "@/components/ui/card";
import type { Status } from "@/lib/api/schemas";
import { cn } from "@/lib/cn";
import { MISSING_RATE_LIMIT } from "@/lib/domain/health";
import { useText, type Text } from "@/lib/i18n/useText";
import { useStale } from "@/lib/live/useFreshness";
import { statusQuery } from "@/lib/queries/live";

function Line({ label, title, testId, children }: { label: string; title?: string; testId: string; children: ReactNode }) {
  return (
    <div className="flex min-h-5 items-baseline gap-3" data-testid={testId} title={title}>
      <dt className="label shrink-0">{label}</dt>
      <dd className="ml-auto flex min-w-0 flex-wrap items-baseline justify-end gap-x-2.5 text-right text-xs">{children}</dd>
    </div>
  );
}

/** Named figures of one kind; those at zero are not worth a word. */
function Figures({ figures, format, none, alarm }: { figures: Record<string, number | null>; format: (value: number) => string; none: string; alarm?: (value: number) => boolean }) {
  const { words } = useText();
  const worth = Object.entries(figures).filter((entry): entry is [string, number] => entry[1] !== null && entry[1] !== 0);
  if (worth.length === 0) return <span className="text-soft">{none}</span>;
  return worth.map(([name, value]) => (
    <span key={name} className={cn("whitespace-nowrap", alarm?.(value) && "text-amber")}>
      <span className="text-2xs text-faint">{words("figure", name)}</span> <span className="num font-medium">{format(value)}</span>
    </span>
  ));
}

/** A part of the system: a dot and a word, so that neither stands alone. */
function Part({ name, up, word }: { name: string; up: boolean; word: string }) {
  return (
    <span className="inline-flex items-center gap-1 whitespace-nowrap">
      <span aria-hidden className={cn("size-1.5 rounded-full", up ? "bg-good" : "bg-bad")} />
      <span className="text-soft">{name}</span>
      <span className={cn("text-2xs", up ? "text-faint" : "font-semibold text-bad")}>{word}</span>
    </span>
  );
}

function Sockets({ status, text: { t, words } }: { status: Status; text: Text }) {
  const sockets = Object.entries(status.ws_connected);
  if (sockets.length === 0) return <span className="text-soft">{t("health.sockets.none")}</span>;
  return sockets.map(([name, up]) => <Part key={name} name={words("figure", name)} up={up} word={t(up ? "health.socket.up" : "health.socket.down")} />);
}

function Body({ status }: { status: Status }) {
  const text = useText();
  const { t, percent, fixed } = text;
  const missing = status.missing_rate_24h;
  // Without live trading there is no user stream to be wrong.
  const userstreamIdle = status.mode !== "live" && !status.userstream_ok;
  return (
    <dl className="flex flex-col gap-1">
      <Line label={t("health.fresh")} testId="health-fresh">
        <span className={cn("num font-medium", status.symbols_fresh < status.symbols_tradable && "text-amber")}>
          {t("health.fresh.of", { fresh: status.symbols_fresh, total: status.symbols_tradable })}
        </span>
      </Line>
      <Line label={t("health.delay")} title={t("health.delay.what")} testId="health-delay">
        <Figures figures={status.latency_ms} format={text.duration} none="–" />
      </Line>
      <Line label={t("health.missing")} testId="health-missing">
        <span className={cn("num font-medium", (missing ?? 0) > MISSING_RATE_LIMIT && "text-bad")}>{percent(missing, 3)}</span>
      </Line>
      <Line label={t("health.sockets")} testId="health-sockets">
        <Sockets status={status} text={text} />
      </Line>
      <Line label={t("health.queue")} testId="health-queue">
        <Figures figures={status.queue_lag} format={(value) => fixed(value)} none={t("health.queue.none")} alarm={(value) => value > 1_000} />
      </Line>
      <Line label={t("health.errors")} testId="health-errors">
        <Figures figures={status.error_rates} format={(value) => fixed(value, 1)} none={t("health.errors.none")} alarm={(value) => value > 0} />
      </Line>
      <Line label={t("health.collector")} testId="health-collector">
        <Part name="" up={status.collector_ok} word={t(status.collector_ok ? "health.ok" : "health.not_ok")} />
      </Line>
      <Line label={t("health.userstream")} testId="health-userstream">
        {userstreamIdle ? <span className="text-2xs text-faint">{t("health.idle")}</span> : <Part name="" up={status.userstream_ok} word={t(status.userstream_ok ? "health.ok" : "health.not_ok")} />}
      </Line>
    </dl>
  );
}

export function SystemHealthCard() {
  const { t } = useText();
  const query = useQuery(statusQuery);
  // What was healthy when it was last told says nothing of now.
  const stale = useStale();
  const healthy = !stale && query.data?.collector_ok === true && query.data.symbols_fresh >= query.data.symbols_tradable;
  return (
    <Card
      title={t("health.title")}
      data-testid="card-health"
      alert={query.data && !healthy ? "amber" : null}
      aside={query.data && <Badge tone={healthy ? "good" : "amber"}>{t(healthy ? "health.ok" : stale ? "health.stale" : "health.not_ok")}</Badge>}
    >
      <QueryView query={query} what="health.title" rows={7}>
        {(status) => <Body status={status} />}
      </QueryView>
    </Card>
  );
}
