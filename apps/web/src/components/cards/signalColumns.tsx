import { Badge } from "@/components/ui/badge";
import { signedTone } from "@/components/ui/signed";
import { Reason } from "@/components/data/Reason";
import { SideBadge } from "@/components/data/SideBadge";
import { SymbolLink } from "@/components/data/SymbolLink";
import type { Signal } from "@/lib/api/schemas";
import { bestEv, decisionOf, pick, preferredSide, primaryReason, type SignalRow } from "@/lib/domain/signals";
import { decimalsOf, signOf } from "@/lib/format/number";
import type { Text } from "@/lib/i18n/useText";
import type { Column } from "@/lib/table/useTable";
import { setUrlParams } from "@/lib/useUrlState";

const of = <T,>(row: SignalRow, read: (signal: Signal) => T): T | null => (row.signal === null ? null : read(row.signal));
const decimals = ({ instrument }: SignalRow) => instrument?.price_decimals ?? decimalsOf(instrument?.tick_size);

/** Shown with the symbol when it does not trade as usual; the row stays, for the universe is whole (D8). */
function StatusBadge({ row, text }: { row: SignalRow; text: Text }) {
  const { instrument } = row;
  if (instrument === null || instrument.tradable) return null;
  const delisted = instrument.status === "delisted";
  return <Badge tone={delisted ? "outline" : "amber"}>{instrument.status === "active" ? text.t("status.not_tradable") : text.words("status", instrument.status)}</Badge>;
}

const evOf = (row: SignalRow, side: "LONG" | "SHORT") => of(row, (signal) => (side === "LONG" ? signal.ev_long : signal.ev_short));

/** The side the kernel prefers is the brighter one. */
function evTone(row: SignalRow, side: "LONG" | "SHORT"): string {
  if (row.signal === null || preferredSide(row.signal) !== side) return "text-faint";
  return signOf(evOf(row, side)) > 0 ? "font-semibold text-up" : "text-soft";
}

/** The reason, or what was entered, leads to the whole story. */
function WhyButton({ row, text }: { row: SignalRow; text: Text }) {
  if (row.signal === null) return null;
  const entered = primaryReason(row.signal) === null;
  return (
    <button type="button" onClick={() => setUrlParams({ why: row.symbol })} title={text.t("signals.why", { symbol: row.symbol })} data-testid={`why-open-${row.symbol}`} className="max-w-72 rounded text-left underline decoration-line-strong decoration-dotted underline-offset-4 hover:decoration-brand">
      {entered ? <span className="text-faint">{text.t("signals.why.entered")}</span> : <Reason signal={row.signal} />}
    </button>
  );
}

export function signalColumns(text: Text): Column<SignalRow>[] {
  const { t, words } = text;
  const change = (row: SignalRow) => text.percent(of(row, (signal) => signal.ret_60), 2, true);
  const minuteOf = (row: SignalRow) => (row.signal === null ? null : Date.parse(row.signal.ts));
  return [
    {
      id: "symbol",
      width: 20,
      label: "col.symbol",
      pinned: true,
      cell: (row) => (
        <span className="inline-flex items-center gap-1.5">
          <SymbolLink symbol={row.symbol} navRow />
          <StatusBadge row={row} text={text} />
        </span>
      ),
      sort: (row) => row.symbol,
    },
    { id: "status", width: 13, label: "col.status", optional: true, cell: (row) => words("status", row.instrument?.status ?? "unknown"), sort: (row) => row.instrument?.status },
    { id: "tier", width: 7, label: "col.tier", optional: true, cell: (row) => row.instrument?.liquidity_tier, sort: (row) => row.instrument?.liquidity_tier },
    { id: "price", width: 12, label: "col.price", numeric: true, cell: (row) => text.price(of(row, (signal) => signal.close), decimals(row)), sort: (row) => of(row, (signal) => signal.close) },
    {
      id: "change",
      width: 10,
      label: "col.change",
      numeric: true,
      cell: change,
      tone: (row) => signedTone(of(row, (signal) => signal.ret_60), change(row)),
      sort: (row) => of(row, (signal) => signal.ret_60),
    },
    { id: "decision", width: 10, label: "col.decision", cell: (row) => (row.signal === null ? null : <SideBadge side={decisionOf(row.signal)} />), sort: (row) => of(row, decisionOf) },
    { id: "ev_long", width: 9.5, label: "col.ev_long", numeric: true, cell: (row) => text.bps(evOf(row, "LONG")), tone: (row) => evTone(row, "LONG"), sort: (row) => evOf(row, "LONG") },
    { id: "ev_short", width: 10, label: "col.ev_short", numeric: true, cell: (row) => text.bps(evOf(row, "SHORT")), tone: (row) => evTone(row, "SHORT"), sort: (row) => evOf(row, "SHORT") },
    { id: "ev", width: 10.5, label: "col.ev_best", numeric: true, optional: true, cell: (row) => text.bps(of(row, bestEv)), sort: (row) => of(row, bestEv) },
    { id: "er", width: 9, label: "col.er", numeric: true, cell: (row) => text.bps(of(row, (signal) => pick(signal, "er"))), sort: (row) => of(row, (signal) => pick(signal, "er")) },
    { id: "q05", width: 9, label: "col.q05", numeric: true, cell: (row) => text.bps(of(row, (signal) => pick(signal, "q05"))), sort: (row) => of(row, (signal) => pick(signal, "q05")) },
    { id: "p_tp", width: 8, label: "col.p_tp", numeric: true, optional: true, cell: (row) => text.percent(of(row, (signal) => pick(signal, "p_tp")), 0), sort: (row) => of(row, (signal) => pick(signal, "p_tp")) },
    {
      id: "reason",
      width: 34,
      label: "col.reason",
      cell: (row) => (row.signal === null ? <span className="text-faint">{row.instrument?.tradable === false ? words("reason", "SYMBOL_NOT_TRADABLE") : t("signals.waiting")}</span> : <WhyButton row={row} text={text} />),
      sort: (row) => of(row, primaryReason),
      csv: (row) => of(row, (signal) => signal.block_reasons.join(" ")),
    },
    { id: "size", width: 8.5, label: "col.size", numeric: true, cell: (row) => text.fixed(of(row, (signal) => signal.size_notional)), sort: (row) => of(row, (signal) => signal.size_notional) },
    {
      id: "leverage",
      width: 6.5,
      label: "col.leverage",
      numeric: true,
      cell: (row) => of(row, (signal) => (signal.leverage === null ? "–" : `${signal.leverage}×`)) ?? "–",
      sort: (row) => of(row, (signal) => signal.leverage),
    },
    { id: "sl", width: 11.5, label: "col.sl", numeric: true, cell: (row) => text.price(of(row, (signal) => signal.sl_price), decimals(row)), sort: (row) => of(row, (signal) => signal.sl_price) },
    { id: "tp", width: 11.5, label: "col.tp", numeric: true, cell: (row) => text.price(of(row, (signal) => signal.tp_price), decimals(row)), sort: (row) => of(row, (signal) => signal.tp_price) },
    { id: "funding_rate", width: 12, label: "col.funding_rate", numeric: true, optional: true, cell: (row) => text.percent(of(row, (signal) => signal.funding_rate), 4, true), sort: (row) => of(row, (signal) => signal.funding_rate) },
    {
      id: "minute",
      width: 8.5,
      label: "col.minute",
      numeric: true,
      cell: (row) => (row.signal === null ? "–" : text.minute(minuteOf(row))),
      tone: () => "text-faint",
      hint: (row) => (row.signal?.late_ms ? t("signals.late", { late: text.duration(row.signal.late_ms) }) : undefined),
      sort: minuteOf,
      csv: (row) => row.signal?.ts,
    },
  ];
}
