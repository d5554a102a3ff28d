"use client";

import { SymbolLink } from "@/components/data/SymbolLink";
import { Badge, type Tone } from "@/components/ui/badge";
import { Segmented } from "@/components/ui/segmented";
import type { Intent } from "@/lib/api/schemas";
import type { Window } from "@/lib/domain/range";
import { useCodes } from "@/lib/i18n/useCodes";
import { useText, type Text } from "@/lib/i18n/useText";
import { useIntents } from "@/lib/queries/records";
import type { Decimals } from "@/lib/queries/useDecimals";
import type { Column } from "@/lib/table/useTable";
import { useUrlParam } from "@/lib/useUrlState";
import { SimpleTable } from "./SimpleTable";

const ENDS: Record<string, Tone> = { lapsed: "amber", closed: "neutral", booked: "good", protected: "brand" };
const SHOWN = ["all", "lapsed"] as const;

/** Every reason in words, the first one first; with its code, for those who look it up. */
function Why({ intent }: { intent: Intent }) {
  const inWords = useCodes();
  if (intent.reasons.length === 0) return <>–</>;
  return (
    <ul className="max-w-lg whitespace-normal">
      {intent.reasons.map((code) => (
        <li key={code}>
          {inWords(code) ?? code} <span className="text-2xs text-faint">{code}</span>
        </li>
      ))}
      {intent.detail !== null && <li className="text-2xs text-faint">{intent.detail}</li>}
    </ul>
  );
}

function intentColumns(text: Text, decimals: Decimals): Column<Intent>[] {
  const { t, words, price } = text;
  const ended = (state: string) => (state in ENDS ? state : "under_way");
  return [
    { id: "symbol", label: "col.symbol", pinned: true, cell: (row) => <SymbolLink symbol={row.symbol} navRow />, sort: (row) => row.symbol },
    { id: "time", label: "col.time", numeric: true, cell: (row) => `${text.day(Date.parse(row.created_at)).slice(5)} ${text.clock(Date.parse(row.created_at))}`, sort: (row) => Date.parse(row.created_at), csv: (row) => row.created_at },
    { id: "state", label: "col.outcome", cell: (row) => <Badge tone={ENDS[row.state] ?? "neutral"}>{words("intent", ended(row.state))}</Badge>, sort: (row) => row.state, csv: (row) => row.state },
    { id: "why", label: "col.reason", cell: (row) => <Why intent={row} />, csv: (row) => row.reasons.join(" ") },
    { id: "side", label: "col.side", cell: (row) => (row.kind === "adopted" ? t("intent.adopted") : words("side", row.side ?? "–")), sort: (row) => row.side },
    { id: "qty", label: "col.qty", numeric: true, cell: (row) => text.quantity(row.qty), sort: (row) => row.qty },
    { id: "leverage", label: "col.leverage", numeric: true, cell: (row) => (row.leverage === null ? "–" : `${row.leverage}×`), sort: (row) => row.leverage },
    { id: "price", label: "col.price", numeric: true, cell: (row) => price(row.reference_price, decimals(row.symbol)), sort: (row) => row.reference_price },
    { id: "sl", label: "col.sl", numeric: true, cell: (row) => price(row.sl_price, decimals(row.symbol)), sort: (row) => row.sl_price },
    { id: "tp", label: "col.tp", numeric: true, cell: (row) => price(row.tp_price, decimals(row.symbol)), sort: (row) => row.tp_price },
  ];
}

/** Every bracket the live account wanted and what became of it: above all, why one was never sent. */
export function IntentsTable({ window }: { window: Window }) {
  const { t } = useText();
  const [param, setShown] = useUrlParam("intents");
  const shown = SHOWN.find((name) => name === param) ?? "all";
  const { query, more } = useIntents(window, shown === "lapsed");
  return (
    <SimpleTable
      id="intents"
      query={query}
      more={more}
      columns={intentColumns}
      rowKey={(row) => row.intent_id}
      aside={<Segmented label={t("intents.title")} value={shown} onChange={(value) => setShown(value === "all" ? null : value)} options={SHOWN.map((value) => ({ value, text: t(`intents.${value}`) }))} testId="intents-shown" />}
      words={{ title: "intents.title", caption: "intents.caption", empty: "intents.empty", emptyWhat: "intents.empty.what" }}
    />
  );
}
