"use client";

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ActButton } from "@/components/data/ActButton";
import { Confirm } from "@/components/data/Confirm";
import { QueryView } from "@/components/data/QueryView";
import { SymbolLink } from "@/components/data/SymbolLink";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import type { Settings } from "@/lib/api/actions";
import { asText, differences, grouped, readSetting, unitOf, universeOf, type Difference } from "@/lib/domain/settings";
import { useSettingWords } from "@/lib/i18n/useCodes";
import { useText } from "@/lib/i18n/useText";
import { useRestart, useSettingsChange } from "@/lib/queries/actions";
import { universeQuery } from "@/lib/queries/live";
import { settingsQuery } from "@/lib/queries/risk";

export function SettingValue({ value }: { value: unknown }) {
  const { t } = useText();
  if (value === null || value === undefined) return <span className="text-faint">{t("settings.by_preset")}</span>;
  if (typeof value === "boolean") return <>{t(value ? "risk.yes" : "risk.no")}</>;
  // As it stands in the file: a setting is compared with what was written, not read as prose.
  return <>{Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : String(value)}</>;
}

/** What it is counted in; of a share, what it is in percent. */
function Unit({ name, value }: { name: string; value: unknown }) {
  const { t, percent } = useText();
  const unit = unitOf(name);
  if (unit === null || unit === "plain" || typeof value !== "number") return null;
  return <span className="ml-1 font-normal text-faint">{unit === "fraction" ? `(${percent(value, value < 0.01 ? 2 : value < 0.1 ? 1 : 0)})` : t(`settings.unit.${unit}`)}</span>;
}

/** What a change changes, one setting a line. */
export function DifferenceList({ changes, effects }: { changes: readonly Pick<Difference, "name" | "before" | "after">[]; effects: Record<string, string> }) {
  const { t, words } = useText();
  return (
    <table className="w-full text-xs" data-testid="settings-diff">
      <caption className="sr-only">{t("settings.diff")}</caption>
      <thead>
        <tr className="text-left text-2xs text-faint">
          <th scope="col" className="font-medium">{t("settings.name")}</th>
          <th scope="col" className="font-medium">{t("settings.before")}</th>
          <th scope="col" className="font-medium">{t("settings.after")}</th>
          <th scope="col" className="font-medium">{t("settings.effect")}</th>
        </tr>
      </thead>
      <tbody>
        {changes.map(({ name, before, after }) => (
          <tr key={name} className="border-t border-line/60 align-top" data-testid={`diff-${name}`}>
            <th scope="row" className="num py-1 pr-2 text-left font-normal">{name}</th>
            <td className="num py-1 pr-2 break-words text-soft line-through"><SettingValue value={before} /></td>
            <td className="num py-1 pr-2 font-semibold break-words"><SettingValue value={after} /><Unit name={name} value={after} /></td>
            <td className="py-1 text-soft">{words("effect", effects[name] ?? "")}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Input({ name, value, text, onWrite }: { name: string; value: unknown; text: string; onWrite: (text: string) => void }) {
  const { t } = useText();
  const look = "h-6 w-36 rounded border border-line bg-panel-2 px-1.5 text-right text-xs outline-none focus-visible:border-brand";
  if (typeof value === "boolean") {
    return (
      <select aria-label={name} value={text} onChange={(event) => onWrite(event.target.value)} className={look} data-testid={`edit-${name}`}>
        <option value="true">{t("risk.yes")}</option>
        <option value="false">{t("risk.no")}</option>
      </select>
    );
  }
  if (Array.isArray(value)) return <textarea aria-label={name} rows={3} value={text} onChange={(event) => onWrite(event.target.value)} className="w-full rounded border border-line bg-panel-2 px-1.5 py-1 text-xs outline-none focus-visible:border-brand" data-testid={`edit-${name}`} />;
  return <input aria-label={name} value={text} placeholder={value === null ? t("settings.by_preset") : undefined} onChange={(event) => onWrite(event.target.value)} inputMode={typeof value === "number" ? "decimal" : "text"} className={look} data-testid={`edit-${name}`} />;
}

function Body({ settings, editing, onDone }: { settings: Settings; editing: boolean; onDone: () => void }) {
  const { t } = useText();
  const { values, effects } = settings;
  const meaning = useSettingWords();
  const [written, setWritten] = useState<Record<string, string>>({});
  const change = useSettingsChange();
  const changes = differences(values, written);
  const invalid = changes.filter((one) => one.invalid);
  const row = (name: string, value: unknown) => (
    <div key={name} className="flex flex-wrap items-baseline justify-between gap-x-4 border-b border-line/60 py-1 text-xs" data-testid={`setting-${name}`}>
      <dt className="min-w-0 text-soft">
        <span className="block truncate">{meaning(name) ?? name}</span>
        <span className="num text-2xs text-faint">{name}</span>
        {settings.restart_needed.includes(name) && (
          <Badge tone="amber" className="ml-1.5">
            {t("settings.restart_needed")}
          </Badge>
        )}
      </dt>
      <dd className={Array.isArray(value) && editing ? "num basis-full" : "num font-medium"}>
        {editing && name in effects ? <Input name={name} value={value} text={written[name] ?? asText(value)} onWrite={(text) => setWritten({ ...written, [name]: text })} /> : <SettingValue value={value} />}
        <Unit name={name} value={editing ? readSetting(written[name] ?? asText(value), value) : value} />
      </dd>
    </div>
  );
  return (
    <>
      <div className="grid gap-x-8 gap-y-4 md:grid-cols-2">
        {grouped(values).map(({ group, settings: rows }) => (
          <section key={group} data-testid={`settings-${group}`}>
            <h3 className="mb-1 text-xs font-semibold">{t(`settings.group.${group}`)}</h3>
            <dl>{rows.map(({ name, value }) => row(name, value))}</dl>
          </section>
        ))}
        {editing && "UNIVERSE" in effects && (
          <section data-testid="settings-universe">
            <h3 className="mb-1 text-xs font-semibold">{t("settings.universe")}</h3>
            <dl>{row("UNIVERSE", values.UNIVERSE)}</dl>
          </section>
        )}
      </div>
      {editing && (
        <div className="mt-3 flex flex-wrap items-center justify-end gap-2 border-t border-line pt-3">
          <span className="mr-auto text-xs text-soft" data-testid="settings-staged">
            {invalid.length > 0 ? <span className="text-bad">{t("settings.invalid", { names: invalid.map(({ name }) => name).join(", ") })}</span> : t("settings.staged", { count: changes.length })}
          </span>
          <Button variant="ghost" onClick={onDone} data-testid="settings-discard">
            {t("settings.discard")}
          </Button>
          <Confirm
            needs="admin"
            size="md"
            variant="primary"
            name={t("settings.review")}
            yes={t("settings.change")}
            title={t("settings.review.title")}
            what={t("settings.review.what")}
            reason
            disabled={changes.length === 0 || invalid.length > 0}
            testId="settings-change"
            act={async (reason) => {
              await change.mutateAsync({ changes: Object.fromEntries(changes.map(({ name, after }) => [name, after])), reason, expected_version: settings.version ?? 0 });
              onDone();
            }}
          >
            <DifferenceList changes={changes} effects={effects} />
          </Confirm>
        </div>
      )}
    </>
  );
}

/** Mode and presets under the names of the specification, as they are in force; changed as versions, with a diff. */
export function SettingsCard() {
  const { t } = useText();
  const query = useQuery(settingsQuery);
  const [editing, setEditing] = useState(false);
  const restart = useRestart();
  const { data } = query;
  return (
    <Card
      title={t("settings.presets")}
      data-testid="card-presets"
      aside={
        <>
          {data?.pending && (
            <Badge tone="amber" role="status" data-testid="settings-pending">
              {t("settings.trading.pending")}
            </Badge>
          )}
          {data !== undefined && <span className="num label">{t("settings.version", { version: data.version ?? 0 })}</span>}
          {(data?.restart_needed.length ?? 0) > 0 && (
            <Confirm needs="admin" name={t("settings.restart")} title={t("settings.restart.title")} what={t("settings.restart.what")} reason testId="settings-restart" act={(reason) => restart.mutateAsync(reason)}>
              <p className="num text-xs">{data?.restart_needed.join(", ")}</p>
            </Confirm>
          )}
          {!editing && (
            <ActButton needs="admin" size="sm" disabled={data === undefined || Object.keys(data.effects).length === 0} onClick={() => setEditing(true)} data-testid="settings-edit">
              {t("settings.edit")}
            </ActButton>
          )}
        </>
      }
    >
      <p className="mb-3 max-w-3xl text-xs text-soft" data-testid="settings-where">
        {t("settings.where")}
      </p>
      <QueryView query={query} what="settings.presets" rows={8}>
        {(settings) => <Body key={String(editing)} settings={settings} editing={editing} onDone={() => setEditing(false)} />}
      </QueryView>
    </Card>
  );
}

/** The universe as it is set, each symbol with what the exchange says of it. */
export function UniverseCard() {
  const { t, words } = useText();
  const query = useQuery(settingsQuery);
  const { data: instruments = [] } = useQuery(universeQuery);
  const bySymbol = new Map(instruments.map((instrument) => [instrument.symbol, instrument]));
  return (
    <Card title={t("settings.universe")} data-testid="card-universe">
      <QueryView query={query} what="settings.universe" rows={4}>
        {({ values }) => {
          const set = universeOf(values.UNIVERSE);
          const names = set.length > 0 ? set : instruments.map(({ symbol }) => symbol);
          return (
            <ul className="grid grid-cols-2 gap-x-6 gap-y-1 sm:grid-cols-4 xl:grid-cols-6">
              {names.map((symbol) => {
                const instrument = bySymbol.get(symbol);
                return (
                  <li key={symbol} className="flex h-6 items-center gap-2 text-xs" data-testid={`universe-${symbol}`}>
                    <SymbolLink symbol={symbol} navRow />
                    {instrument === undefined ? <Badge tone="amber">{t("settings.universe.unknown")}</Badge> : !instrument.tradable && <Badge tone="outline">{words("status", instrument.status)}</Badge>}
                  </li>
                );
              })}
            </ul>
          );
        }}
      </QueryView>
    </Card>
  );
}
