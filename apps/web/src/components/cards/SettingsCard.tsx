"use client";

import { useQuery } from "@tanstack/react-query";
import { QueryView } from "@/components/data/QueryView";
import { SymbolLink } from "@/components/data/SymbolLink";
import { Badge } from "@/components/ui/badge";
import { Card } from "@/components/ui/card";
import { grouped, universeOf } from "@/lib/domain/settings";
import { useText } from "@/lib/i18n/useText";
import { universeQuery } from "@/lib/queries/live";
import { settingsQuery } from "@/lib/queries/risk";

function Value({ value }: { value: unknown }) {
  const { t } = useText();
  if (value === null || value === undefined) return <span className="text-faint">{t("settings.by_preset")}</span>;
  if (typeof value === "boolean") return <>{t(value ? "risk.yes" : "risk.no")}</>;
  // As it stands in the file: a setting is compared with what was written, not read as prose.
  return <>{typeof value === "object" ? JSON.stringify(value) : String(value)}</>;
}

/** Mode and presets under the names of the specification, as they are in force, and where they are changed. */
export function SettingsCard() {
  const { t } = useText();
  const query = useQuery(settingsQuery);
  return (
    <Card title={t("settings.presets")} data-testid="card-presets" aside={<Badge tone="outline">{t("settings.read_only")}</Badge>}>
      <p className="mb-3 max-w-3xl text-xs text-soft" data-testid="settings-where">
        {t("settings.where")}
      </p>
      <QueryView query={query} what="settings.presets" rows={8}>
        {({ values }) => (
          <div className="grid gap-x-8 gap-y-4 md:grid-cols-2">
            {grouped(values).map(({ group, settings }) => (
              <section key={group} data-testid={`settings-${group}`}>
                <h3 className="mb-1 text-xs font-semibold">{t(`settings.group.${group}`)}</h3>
                <dl>
                  {settings.map(({ name, value }) => (
                    <div key={name} className="flex items-baseline justify-between gap-4 border-b border-line/60 py-1 text-xs" data-testid={`setting-${name}`}>
                      <dt className="num truncate text-soft">{name}</dt>
                      <dd className="num font-medium">
                        <Value value={value} />
                      </dd>
                    </div>
                  ))}
                </dl>
              </section>
            ))}
          </div>
        )}
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
