"""What live trading leaves behind, as rows (mode ``live``): intents, risk events, closed trades. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from packages.common.errors import InvalidInputError
from packages.common.reasons import ExitReason
from packages.common.types import OhlcBar
from packages.exchange import trading as wire
from services.execution.core import events as ev
from services.execution.core.events import Intent
from services.execution.translate import closing_side, opening_side

Row = dict[str, Any]
MODE = "live"
ZERO = Decimal(0)
# Severities of risk_events: 1 told, 2 blocks entries, 3 money is at risk.
_SEVERITY = {ev.Latch.RUNNING: 1, ev.Latch.HALTED: 2, ev.Latch.FLATTENING: 3}
SIDE_WORD = {1: "LONG", -1: "SHORT"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the books need of an intent beyond the core's: how it came about. ``entry_id``: the client id of its entry,
    by which its trades are found; empty: it was never sent. ``sent_price``: middle of the book then."""

    intent: Intent
    symbol: str
    leverage: int
    reference_price: Decimal
    decided_ts_ms: int
    model_id: str | None = None
    entry_id: str = ""
    sent_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Adopted:
    """A position that nobody here planned, first seen at ``seen_ts_ms``. ``stop_price``: of the stop it was given,
    None: it never got one. ``over_ts_ms``: the symbol was proven flat then, None: it was not yet."""

    symbol: str
    seen_ts_ms: int
    leverage: int
    stop_price: Decimal | None = None
    over_ts_ms: int | None = None


def intent_row(plan: Plan, state: str, at_ms: int, **details: Any) -> Row:
    """A row of order_intents: the plan, where it stands, and why."""
    intent = plan.intent
    return {
        "intent_id": f"{intent.decision_id}:{plan.symbol}",
        "mode": MODE,
        "symbol": plan.symbol,
        "created_at": plan.decided_ts_ms,
        "updated_at": at_ms,
        "kind": ENTRY,
        "state": state,
        "payload": {
            "decision_id": intent.decision_id,
            "side": SIDE_WORD[intent.direction],
            "qty": str(intent.qty),
            "sl_price": str(intent.stop_price),
            "tp_price": str(intent.target_price),
            "reference_price": str(plan.reference_price),
            "leverage": plan.leverage,
            "due_ts_ms": intent.due_ts_ms,
            "model_id": plan.model_id,
            "entry_id": plan.entry_id,
            "sent_price": None if plan.sent_price is None else str(plan.sent_price),
            **details,
        },
    }


def adopted_row(adopted: Adopted, state: str, at_ms: int, **details: Any) -> Row:
    """A row of order_intents for a position without a plan, so that a later process knows of it."""
    return {
        "intent_id": f"adopted:{adopted.seen_ts_ms}:{adopted.symbol}",
        "mode": MODE,
        "symbol": adopted.symbol,
        "created_at": adopted.seen_ts_ms,
        "updated_at": at_ms,
        "kind": ADOPTED,
        "state": state,
        "payload": {
            "leverage": adopted.leverage,
            "stop_price": None if adopted.stop_price is None else str(adopted.stop_price),
            "over_ts_ms": adopted.over_ts_ms,
            **details,
        },
    }


# Kinds of order_intents of which something is to be booked, and the states after which there is nothing left.
KINDS = ENTRY, ADOPTED = "entry", "adopted"
DONE = ("lapsed", "closed", "booked")


def unbooked_of(kind: str, symbol: str, created_ms: int, payload: Mapping[str, Any]) -> Plan | Adopted:
    """What ``intent_row`` or ``adopted_row`` wrote down."""
    if kind == ENTRY:
        return _plan_of(symbol, created_ms, payload)
    stop = payload["stop_price"]
    return Adopted(
        symbol, created_ms, payload["leverage"], None if stop is None else Decimal(stop), payload["over_ts_ms"]
    )


def _plan_of(symbol: str, created_ms: int, payload: Mapping[str, Any]) -> Plan:
    intent = Intent(
        payload["decision_id"],
        1 if payload["side"] == SIDE_WORD[1] else -1,
        Decimal(payload["qty"]),
        Decimal(payload["sl_price"]),
        Decimal(payload["tp_price"]),
        payload["due_ts_ms"],
    )
    reference = Decimal(payload["reference_price"])
    sent = payload.get("sent_price")
    return Plan(
        intent,
        symbol,
        payload["leverage"],
        reference,
        created_ms,
        payload["model_id"],
        payload["entry_id"],
        None if sent is None else Decimal(sent),
    )


def risk_row(ts_ms: int, code: str, symbol: str | None, message: str, severity: int, **details: Any) -> Row:
    """A row of risk_events."""
    return {
        "ts": ts_ms,
        "event_type": code,
        "symbol": symbol,
        "severity": severity,
        "message": message,
        "details": details,
    }


def latch_severity(latch: ev.Latch) -> int:
    return _SEVERITY[latch]


@dataclass(frozen=True, slots=True)
class Closed:
    """A position's life from its trades by id (rule 17), in exact decimals; ``funding`` and ``fees`` + is paid."""

    symbol: str
    direction: int
    qty: Decimal
    entry_price: Decimal
    exit_price: Decimal
    entry_ts_ms: int
    exit_ts_ms: int
    realized: Decimal  # of the prices alone
    fees: Decimal
    liquidation_fee: Decimal
    funding: Decimal
    complete: bool  # as much was closed as was opened
    unseen: Decimal = ZERO  # of ``qty``, what was opened before the exchange's history; its fees and funding are not in
    staged_qty: Decimal = ZERO  # of ``qty``, what left on the way to the target, and what it was sold or bought for
    staged_value: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        return self.realized - self.fees - self.liquidation_fee - self.funding


def life_of(trades: Sequence[wire.Trade]) -> list[wire.Trade]:
    """The first of ``trades`` (ascending by id, the first one opens) up to the one that brings the position to zero, or
    through it; all of them while none does."""
    amount, first = ZERO, trades[0].side if trades else None
    for count, row in enumerate(trades, 1):
        amount += row.quantity if row.side is first else -row.quantity
        if amount <= 0:
            return list(trades[:count])
    return list(trades)


def last_life(trades: Sequence[wire.Trade]) -> list[wire.Trade]:
    """The end of ``trades`` (ascending by id, flat after the last): back to where it was flat before, or turned; all of
    them when they do not reach so far back."""
    held, last = ZERO, trades[-1].side if trades else None
    for count, row in enumerate(reversed(trades), 1):
        held += row.quantity if row.side is last else -row.quantity
        if held <= 0:
            return list(trades[-count:])
    return list(trades)


def close_out(
    symbol: str,
    trades: Sequence[wire.Trade],
    income: Sequence[wire.Income],
    direction: int | None,
    *,
    cut: bool = False,
    staged: Collection[int] = (),
) -> Closed | None:
    """Book one life from the account's trades and income of its time; None when nothing was opened.

    ``trades`` ascending by id, ``income`` of the symbol, ``direction`` None: the last trade closes. With ``cut`` the
    history may begin in the middle: what was opened before it is taken at the price that the exchange's realized profit
    implies. ``staged``: order numbers of the parts that left on the way to the target. Fees in another asset than the
    quote raise ``InvalidInputError``: they would be counted as what they are not (rule 17).
    """
    if not trades:
        return None
    if direction is None:
        direction = 1 if trades[-1].side is closing_side(1) else -1
    opening, closing = opening_side(direction), closing_side(direction)
    entries = [row for row in trades if row.side is opening]
    exits = [row for row in trades if row.side is closing]
    for row in trades:
        if row.commission and not symbol.endswith(row.commission_asset):
            raise InvalidInputError("commission_asset", row.commission_asset, f"the quote asset of {symbol}")
    opened, closed = sum((r.quantity for r in entries), ZERO), sum((r.quantity for r in exits), ZERO)
    realized = sum((r.realized_pnl for r in trades), ZERO)
    paid_out = sum((r.price * r.quantity for r in exits), ZERO)
    paid_in = sum((r.price * r.quantity for r in entries), ZERO)
    parts = [row for row in exits if row.order_id in staged]
    unseen = max(closed - opened, ZERO) if cut else ZERO
    if unseen:
        opened, paid_in = closed, paid_out - direction * realized
    return Closed(
        symbol,
        direction,
        opened,
        paid_in / opened,
        paid_out / closed if closed else ZERO,
        trades[0].ts_ms,
        exits[-1].ts_ms if exits else entries[-1].ts_ms,
        realized,
        sum((r.commission for r in trades), ZERO),
        -sum((r.amount for r in income if r.kind == "INSURANCE_CLEAR"), ZERO),
        -sum((r.amount for r in income if r.kind == "FUNDING_FEE"), ZERO),
        opened == closed,
        unseen,
        sum((r.quantity for r in parts), ZERO),
        sum((r.price * r.quantity for r in parts), ZERO),
    )


def excursions(closed: Closed, marks: tuple[Decimal, Decimal] | None) -> tuple[float, float]:
    """MAE and MFE as fractions of the entry, >= 0, from the lowest and highest mark seen; the exit counts as seen."""
    low, high = marks or (closed.exit_price, closed.exit_price)
    low, high = min(low, closed.exit_price), max(high, closed.exit_price)
    worst, best = (low, high) if closed.direction > 0 else (high, low)
    mae, mfe = (closed.entry_price - worst) * closed.direction, (best - closed.entry_price) * closed.direction
    return float(max(mae, ZERO) / closed.entry_price), float(max(mfe, ZERO) / closed.entry_price)


def widened(marks: tuple[Decimal, Decimal] | None, bars: Sequence[OhlcBar]) -> tuple[Decimal, Decimal] | None:
    """The lowest and highest of ``marks`` and of closed bars."""
    lows = [Decimal(repr(bar.low)) for bar in bars] + ([marks[0]] if marks else [])
    highs = [Decimal(repr(bar.high)) for bar in bars] + ([marks[1]] if marks else [])
    return (min(lows), max(highs)) if lows else None


def trade_row(closed: Closed, plan: Plan | Adopted, reason: str, marks: tuple[Decimal, Decimal] | None) -> Row:
    """A row of trades. References are the decision's price and, for a stop or target, its trigger: what lies between
    them and the fills is slippage, so that gross − slippage − fees − liquidation fee − funding = net. Parts that
    left on the way are referred to at their own prices.

    The entry of an adopted position is its reference; a stop or target of 0 stands for none."""
    direction = closed.direction
    if isinstance(plan, Plan):
        reference, model_id = plan.reference_price, plan.model_id
        stop, target = plan.intent.stop_price, plan.intent.target_price
    else:
        reference, model_id, stop, target = closed.entry_price, None, plan.stop_price or ZERO, ZERO
    exit_ref, level = closed.exit_price, {ExitReason.SL: stop, ExitReason.TP: target}.get(ExitReason(reason), ZERO)
    if level > 0:
        exit_ref = (level * (closed.qty - closed.staged_qty) + closed.staged_value) / closed.qty
    gross = direction * closed.qty * (exit_ref - reference)
    mae, mfe = excursions(closed, marks)
    return {
        "mode": MODE,
        "symbol": closed.symbol,
        "entry_ts": closed.entry_ts_ms,
        "exit_ts": closed.exit_ts_ms,
        "side": SIDE_WORD[direction],
        "qty": float(closed.qty),
        "entry_ref": float(reference),
        "entry_price": float(closed.entry_price),
        "exit_ref": float(exit_ref),
        "exit_price": float(closed.exit_price),
        "exit_reason": reason,
        "gross": float(gross),
        "slippage": float(gross - closed.realized),
        "fees": float(closed.fees),
        "liquidation_fee": float(closed.liquidation_fee),
        "funding": float(closed.funding),
        "absorbed": 0.0,
        "net": float(closed.net),
        "mae": mae,
        "mfe": mfe,
        "leverage": plan.leverage,
        "sl_price": float(stop),
        "tp_price": float(target),
        "model_id": model_id,
    }
