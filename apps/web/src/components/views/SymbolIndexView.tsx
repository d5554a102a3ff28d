"use client";

import { useQuery } from "@tanstack/react-query";
import { SymbolLink } from "@/components/data/SymbolLink";
import { QueryView } from "@/components/data/QueryView";
import { Badge } from "@/components/ui/badge";
import { Card } from "@/components/ui/card";
import { useText } from "@/lib/i18n/useText";
import { universeQuery } from "@/lib/queries/live";

/** The universe to choose from, for whoever came without a symbol. */
export function SymbolIndexView() {
  const { t, words } = useText();
  const query = useQuery(universeQuery);
  return (
    <div data-testid="page-symbol-index">
      <h1 className="mb-2 px-0.5 text-base font-semibold tracking-tight">{t("symbol.choose")}</h1>
      <Card title={t("settings.universe")}>
        <QueryView query={query} what="settings.universe" rows={8}>
          {(universe) => (
            <ul className="grid grid-cols-2 gap-x-6 gap-y-1 sm:grid-cols-3 xl:grid-cols-5">
              {universe.map((instrument) => (
                <li key={instrument.symbol} className="flex h-7 items-center gap-2">
                  <SymbolLink symbol={instrument.symbol} navRow />
                  {!instrument.tradable && <Badge tone="outline">{words("status", instrument.status)}</Badge>}
                </li>
              ))}
            </ul>
          )}
        </QueryView>
      </Card>
    </div>
  );
}
