"""Rows of the tables and messages of the bus from what a minute brought. Pure; NaN becomes NULL."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from apps.worker_realtime.engine import Decided, Engine
from apps.worker_realtime.feature_book import FeatureMinute
from packages.common.math import bracket_of, liquidation_price
from packages.common.reasons import ExitReason, exit_reason_of, reason_of
from packages.common.time import MINUTE_MS, iso
from packages.common.types import MinuteRecord
from services.features import schema
from services.simulator.step import used_margin
from services.simulator.tables import N_ENTRIES, N_TRADES, State

Row = dict[str, Any]
F64 = NDArray[np.float64]
MODE = "shadow"
_SIDE = {1: "LONG", -1: "SHORT", 0: "FLAT"}
_BUY_SELL = {1: "BUY", -1: "SELL"}
_ENTRY_LEG, _SL_LEG, _TP_LEG, _EXIT_LEG = 0, 1, 2, 3  # last digit of a shadow order's number


def number(value: float) -> float | None:
    """A float for the database and for JSON: None for NaN and infinities."""
    return float(value) if math.isfinite(value) else None


def market_rows(records: Iterable[MinuteRecord]) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of the four market tables, in the order of their specs."""
    candles, marks, indexes, premiums = [], [], [], []
    for record in records:
        bar, mark, index = record.bar, record.mark, record.index
        key = (bar.symbol, bar.ts_ms)
        candles.append(
            (*key, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.quote_volume)
            + (bar.trades, bar.taker_buy_volume, bar.taker_buy_quote_volume)
        )
        marks.append((*key, mark.open, mark.high, mark.low, mark.close, mark.samples))
        if index is not None:
            indexes.append((*key, index.open, index.high, index.low, index.close, index.samples))
        premiums.append(
            (*key, mark.close, index.close if index else None, bar.close, number(record.funding_rate))
            + (record.next_funding_ts_ms or None,)
        )
    return {"candles_1m": candles, "mark_candles_1m": marks, "index_candles_1m": indexes, "premium_index": premiums}


def feature_rows(minute: FeatureMinute) -> list[tuple[Any, ...]]:
    """Rows of features_1m for the symbols that advanced."""
    out: list[tuple[Any, ...]] = []
    for s, record in minute.records.items():
        if minute.advanced[s]:
            row = minute.rows[s]
            regime = row[schema.BTC_REGIME]
            out.append(
                (record.bar.symbol, minute.ts_ms, schema.SCHEMA_VERSION, orjson.dumps(schema.feature_dict(row)))
                + (number(row[schema.ATR]), number(row[schema.FUNDING_Z]), None if math.isnan(regime) else int(regime))
            )
    return out


def signal_rows(decided: Decided, engine: Engine, late_ms: int, mode: str = MODE) -> list[Row]:
    """One row per symbol: traded, or why not (D46)."""
    rows, names = decided.out.rows, engine.symbols
    out = []
    for s, symbol in enumerate(names):
        row = rows.table[s]
        notes = rows.notes[s][: row["n_notes"]]
        p = decided.predictions[s]
        traded = row["side"] != 0
        out.append(
            {
                "symbol": symbol,
                "ts": decided.ts_ms,
                "model_id": engine.model.model_id,
                "mode": mode,
                "ev_long": number(row["ev_long"]),
                "ev_short": number(row["ev_short"]),
                "er_long": number(p[0]),
                "er_short": number(p[5]),
                "q05_long": number(p[1]),
                "q05_short": number(p[6]),
                "e_mae_long": number(p[2]),
                "e_mae_short": number(p[7]),
                "e_hold_long_min": whole(p[3]),
                "e_hold_short_min": whole(p[8]),
                "p_tp_long": number(p[4]),
                "p_tp_short": number(p[9]),
                "decision": _SIDE[int(row["side"])],
                "size_notional": number(row["size_notional"]) if traded else None,
                "leverage": int(row["leverage"]) if traded else None,
                "sl_price": number(row["sl"]) if traded else None,
                "tp_price": number(row["tp"]) if traded else None,
                "block_reason_codes": [
                    {
                        "code": reason_of(int(note["code"])).value,
                        "value": number(note["value"]),
                        "limit": number(note["limit"]),
                        "distance": number(note["distance"]),
                    }
                    for note in notes
                ],
                "late_ms": late_ms,
            }
        )
    return out


def whole(value: float) -> int | None:
    """Nearest integer, None for NaN."""
    return round(float(value)) if math.isfinite(value) else None


def signal_messages(signals: Sequence[Row], decided: Decided, ret_60: F64) -> list[Row]:
    """``SignalDTO``s of the minute: the rows, and the market beside them; ``ret_60`` (S,) is NaN where unknown."""
    messages = []
    for s, row in enumerate(signals):
        message = {key: value for key, value in row.items() if key != "block_reason_codes"}
        message["ts"] = iso(decided.ts_ms)
        message["block_reasons"] = [note["code"] for note in row["block_reason_codes"]]
        message["block_details"] = row["block_reason_codes"]
        message["close"] = number(decided.inputs.last[3, s])
        message["mark_price"] = number(decided.inputs.mark[3, s])
        message["ret_60"] = number(ret_60[s])
        message["funding_rate"] = number(decided.features[s, schema.FUNDING_RATE])
        messages.append(message)
    return messages


def maintenance_margin(engine: Engine) -> float:
    """Σ notional at the mark × maintenance rate − cum over the open positions, quote units."""
    return sum(_maintenance(engine, s) for s, pos in enumerate(engine.state.positions) if pos["side"] != 0)


def _maintenance(engine: Engine, s: int) -> float:
    notional = float(engine.state.positions[s]["qty"] * engine.state.memory[s]["mark"])
    bracket = engine.constants.brackets[s][bracket_of(notional, engine.constants.brackets[s])]
    return max(0.0, notional * float(bracket[1]) - float(bracket[2]))


def margin_ratio(maintenance: float, margin: float) -> float | None:
    """Maintenance margin over ``margin``, unrealized PnL included; 1 where there is none left, None for NaN."""
    return number(maintenance / margin) if margin > 0 or math.isnan(margin) else 1.0


def account_row(engine: Engine, ts_ms: int) -> Row:
    """A row of account_snapshots."""
    account = engine.state.account[0]
    equity, wallet = float(account["equity"]), float(account["wallet"])
    used = used_margin(engine.state)
    return {
        "ts": ts_ms,
        "mode": MODE,
        "equity": equity,
        "wallet_balance": wallet,
        "unrealized_pnl": equity - wallet,
        "available_margin": equity - used,
        "used_margin": used,
        "margin_ratio": maintenance_margin(engine) / equity if equity > 0 else 1.0,
        "day_start_equity": float(account["day_start"]),
    }


def position_rows(engine: Engine, ts_ms: int) -> list[Row]:
    """Rows of positions: what is open at the close of ``ts_ms``."""
    out = []
    for s, pos in enumerate(engine.state.positions):
        side = int(pos["side"])
        if side == 0:
            continue
        mark = float(engine.state.memory[s]["mark"])
        qty, fill, margin = float(pos["qty"]), float(pos["entry_fill"]), float(pos["margin"] - pos["funding"])
        liquidation = liquidation_price(side, qty, fill, margin, engine.constants.brackets[s])
        out.append(
            {
                "symbol": engine.symbols[s],
                "ts": ts_ms,
                "side": _SIDE[side],
                "mode": MODE,
                "amt": side * qty,
                "entry_price": fill,
                "mark_price": number(mark),
                "leverage": int(pos["leverage"]),
                "margin_type": "isolated",
                "liquidation_price": number(liquidation),
                "notional": number(qty * mark),
                "unrealized_pnl": number(side * qty * (mark - fill)),
                "sl_price": float(pos["sl"]),
                "tp_price": float(pos["tp"]),
                "opened_ts": int(pos["entry_bar"]) * MINUTE_MS,
                "isolated_margin": margin,
                "fees": float(pos["fees"]),
                "funding": float(pos["funding"]),
                "slippage": side * qty * (fill - float(pos["entry_ref"])),
                "margin_ratio": margin_ratio(_maintenance(engine, s), margin + side * qty * (mark - fill)),
            }
        )
    return out


def position_messages(rows: Sequence[Row]) -> list[Row]:
    """``PositionDTO``s. A shadow position is protected by construction: the kernel holds its stop."""
    out = []
    for row in rows:
        amt, mark, stop, unrealized = row["amt"], row["mark_price"], row["sl_price"], row["unrealized_pnl"]
        risk = 0.0 if stop is None else abs(amt * (row["entry_price"] - stop))
        paid = (row.get("fees") or 0.0) + (row.get("funding") or 0.0)
        out.append(
            row
            | {
                "ts": iso(row["ts"]),
                "opened_ts": iso(row["opened_ts"]),
                "r_multiple": None if unrealized is None or risk <= 0 else (unrealized - paid) / risk,
                "risk_at_stop": None if mark is None or stop is None else max(0.0, amt * (mark - stop)),
                "protected": True,
            }
        )
    return out


def order_messages(orders: Sequence[Row]) -> list[Row]:
    """``OrderDTO``s."""
    return [
        order | {"price": None, "created_at": iso(order["created_at"]), "updated_at": iso(order["updated_at"])}
        for order in orders
    ]


def trade_rows(decided: Decided, engine: Engine) -> list[Row]:
    """Rows of trades: positions the minute closed, with their whole ledger."""
    events = decided.out.events
    out = []
    for trade in events.trades[: events.n[N_TRADES]]:
        row: Row = {name: float(trade[name]) for name in _LEDGER}
        row |= {
            "mode": MODE,
            "symbol": engine.symbols[int(trade["symbol"])],
            "entry_ts": int(trade["entry_bar"]) * MINUTE_MS,
            "exit_ts": int(trade["exit_bar"]) * MINUTE_MS,
            "side": _SIDE[int(trade["side"])],
            "qty": float(trade["qty"]),
            "entry_price": float(trade["entry_fill"]),
            "exit_price": float(trade["exit_fill"]),
            "exit_reason": exit_reason_of(int(trade["reason"])).value,
            "leverage": int(trade["leverage"]),
            "sl_price": float(trade["sl"]),
            "tp_price": float(trade["tp"]),
            "model_id": engine.model.model_id,
        }
        out.append(row)
    return out


_LEDGER = (
    *("entry_ref", "exit_ref", "gross", "slippage", "fees", "liquidation_fee"),
    *("funding", "absorbed", "net", "mae", "mfe"),
)


def shadow_orders(decided: Decided, engine: Engine) -> tuple[list[Row], list[Row]]:
    """Orders and fills as the exchange would have kept them: entry, bracket legs, exit. Numbers derive from the bar."""
    orders: list[Row] = []
    fills: list[Row] = []
    events, ts_ms = decided.out.events, decided.ts_ms
    for entry in events.entries[: events.n[N_ENTRIES]]:
        s, side, bar = int(entry["symbol"]), int(entry["side"]), ts_ms // MINUTE_MS
        base = {"symbol": engine.symbols[s], "bar": bar, "qty": float(entry["qty"]), "at": ts_ms, "opened": ts_ms}
        orders.append(_order(base, _ENTRY_LEG, _BUY_SELL[side], "MARKET", "FILLED", None))
        fills.append(_fill(base, _ENTRY_LEG, float(entry["fill"]), float(entry["fee"]), 0.0))
        pos = engine.state.positions[s]
        if pos["side"] != 0:
            orders.append(_order(base, _SL_LEG, _BUY_SELL[-side], "STOP_MARKET", "NEW", float(pos["sl"])))
            orders.append(_order(base, _TP_LEG, _BUY_SELL[-side], "TAKE_PROFIT_MARKET", "NEW", float(pos["tp"])))
    for trade in events.trades[: events.n[N_TRADES]]:
        s, side = int(trade["symbol"]), int(trade["side"])
        reason = exit_reason_of(int(trade["reason"]))
        leg = {ExitReason.SL: _SL_LEG, ExitReason.TP: _TP_LEG}.get(reason, _EXIT_LEG)
        base = {
            "symbol": engine.symbols[s],
            "bar": int(trade["entry_bar"]),
            "qty": float(trade["qty"]),
            "at": ts_ms,
            "opened": int(trade["entry_bar"]) * MINUTE_MS,
        }
        closing = _BUY_SELL[-side]
        for own, kind, price in ((_SL_LEG, "STOP_MARKET", "sl"), (_TP_LEG, "TAKE_PROFIT_MARKET", "tp")):
            orders.append(_order(base, own, closing, kind, "FILLED" if own == leg else "EXPIRED", float(trade[price])))
        if leg == _EXIT_LEG:
            orders.append(_order(base, leg, closing, "MARKET", "FILLED", None))
        exit_fee = float(trade["fees"]) - _entry_fee(trade, engine)
        realized = side * float(trade["qty"]) * float(trade["exit_fill"] - trade["entry_fill"])
        fills.append(_fill(base, leg, float(trade["exit_fill"]), exit_fee, realized))
    return orders, fills


def _entry_fee(trade: Any, engine: Engine) -> float:
    return float(trade["qty"] * trade["entry_fill"] * engine.constants.fee_now)


def _order(base: Mapping[str, Any], leg: int, side: str, kind: str, status: str, stop: float | None) -> Row:
    order_id = int(base["bar"]) * 10 + leg
    created = base["at"] if leg == _EXIT_LEG else base["opened"]
    return {
        "mode": MODE,
        "order_id": order_id,
        "client_order_id": f"sh-{base['symbol']}-{order_id}",
        "symbol": base["symbol"],
        "side": side,
        "type": kind,
        "status": status,
        "reduce_only": leg != _ENTRY_LEG,
        "stop_price": stop,
        "qty": base["qty"],
        "created_at": created,
        "updated_at": base["at"],
        "leg": ("entry", "sl", "tp", "exit")[leg],
    }


def _fill(base: Mapping[str, Any], leg: int, price: float, fee: float, realized: float) -> Row:
    order_id = int(base["bar"]) * 10 + leg
    return {
        "mode": MODE,
        "symbol": base["symbol"],
        "trade_id": order_id,
        "order_id": order_id,
        "price": price,
        "qty": base["qty"],
        "fee": fee,
        "fee_asset": "USDT",
        "realized_pnl": realized,
        "ts": base["at"],
    }


def halted(state: State) -> bool:
    """True while the daily loss limit holds entries back."""
    return bool(state.account[0]["halted"])
