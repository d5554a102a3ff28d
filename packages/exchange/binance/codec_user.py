"""Events of the user stream, typed, and their translation (reference §2.5, §5.2).

Only what an event is about has to be there: a field that came or went must not cost a fill.
"""

from decimal import Decimal

import msgspec

from packages.exchange.binance.codec_trading import ZERO, finite, number, order_id_of
from packages.exchange.trading import (
    AccountUpdate,
    AlgoStatus,
    AlgoUpdate,
    BalanceChange,
    ConfigUpdate,
    Execution,
    FillNotice,
    ListenKeyExpired,
    MarginCall,
    MarginRisk,
    OrderStatus,
    OrderUpdate,
    PositionChange,
    Side,
    UserEvent,
)


class _Order(msgspec.Struct, gc=False):
    s: str
    c: str
    S: Side
    o: str
    x: Execution
    X: OrderStatus
    i: int
    q: Decimal
    z: Decimal
    l: Decimal  # noqa: E741 - the exchange's name
    L: Decimal
    T: int
    p: Decimal = ZERO
    ap: Decimal = ZERO
    t: int = 0
    n: str | None = None
    N: str | None = None
    rp: Decimal = ZERO
    m: bool = False
    R: bool = False
    cp: bool = False
    ps: str = "BOTH"
    er: str | int = 0


class _OrderTradeUpdate(msgspec.Struct, tag_field="e", tag="ORDER_TRADE_UPDATE", gc=False):
    E: int
    o: _Order
    T: int = 0


class _TradeLite(msgspec.Struct, tag_field="e", tag="TRADE_LITE", gc=False):
    E: int
    s: str
    S: Side
    i: int
    l: Decimal  # noqa: E741
    L: Decimal
    t: int
    c: str = ""
    m: bool = False
    T: int = 0


class _Algo(msgspec.Struct, gc=False):
    s: str
    S: Side
    aid: int
    X: AlgoStatus
    caid: str = ""
    o: str = ""
    q: str = ""
    tp: str = ""
    wt: str = ""
    cp: bool = False
    R: bool = False
    ai: str | int = ""
    ap: str = ""
    aq: str = ""
    tt: int = 0
    rm: str | None = None


class _AlgoUpdate(msgspec.Struct, tag_field="e", tag="ALGO_UPDATE", gc=False):
    E: int
    o: _Algo
    T: int = 0


class _Balance(msgspec.Struct, gc=False):
    a: str
    wb: Decimal
    cw: Decimal = ZERO
    bc: Decimal = ZERO


class _Position(msgspec.Struct, gc=False):
    s: str
    pa: Decimal
    ep: Decimal = ZERO
    bep: Decimal = ZERO
    cr: Decimal = ZERO
    up: Decimal = ZERO
    mt: str = ""
    iw: Decimal = ZERO
    ps: str = "BOTH"


class _Account(msgspec.Struct):
    m: str = ""
    B: list[_Balance] = []
    P: list[_Position] = []
    S: str | None = None


class _AccountUpdate(msgspec.Struct, tag_field="e", tag="ACCOUNT_UPDATE"):
    E: int
    a: _Account
    T: int = 0


class _Leverage(msgspec.Struct, gc=False):
    s: str
    l: int  # noqa: E741


class _MultiAssets(msgspec.Struct, gc=False):
    j: bool


class _ConfigUpdate(msgspec.Struct, tag_field="e", tag="ACCOUNT_CONFIG_UPDATE", gc=False):
    E: int
    ac: _Leverage | None = None
    ai: _MultiAssets | None = None


class _Risk(msgspec.Struct, gc=False):
    s: str
    pa: Decimal
    mp: Decimal = ZERO
    up: Decimal = ZERO
    mm: Decimal = ZERO
    iw: Decimal = ZERO


class _MarginCall(msgspec.Struct, tag_field="e", tag="MARGIN_CALL"):
    E: int
    p: list[_Risk]


class _KeyExpired(msgspec.Struct, tag_field="e", tag="listenKeyExpired", gc=False):
    E: int = 0


_Event = (
    _OrderTradeUpdate | _TradeLite | _AlgoUpdate | _AccountUpdate | _ConfigUpdate | _MarginCall | _KeyExpired
)  # fmt: skip


class Other(msgspec.Struct, frozen=True):
    """A frame that is no event of ours: the name of another one, or an answer to a request."""

    event: str | None
    error: str | None


class _Peek(msgspec.Struct):
    e: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_KNOWN = frozenset(
    {
        *("ORDER_TRADE_UPDATE", "TRADE_LITE", "ALGO_UPDATE", "ACCOUNT_UPDATE", "ACCOUNT_CONFIG_UPDATE"),
        *("MARGIN_CALL", "listenKeyExpired"),
    }
)
_events = msgspec.json.Decoder(_Event, strict=False)
_peek = msgspec.json.Decoder(_Peek)


def decode_user(frame: str | bytes, *, wrapped: bool = False) -> UserEvent | Other:
    """One frame, alone or ``wrapped`` once as ``{"stream", "data"}``.

    Raises ``ValueError`` (``msgspec.DecodeError`` is one) for what does not decode, our own events with broken content
    included: then an event is lost.
    """
    try:
        return _translate(_events.decode(frame))
    except msgspec.ValidationError as exc:
        peek = _peek.decode(frame)
        if bytes(peek.data) and not wrapped:
            return decode_user(bytes(peek.data), wrapped=True)
        if peek.e in _KNOWN:
            raise
        if peek.e is None and not bytes(peek.error) and not bytes(peek.result):
            raise ValueError(f"neither an event nor an answer: {exc}") from exc
        return Other(peek.e, bytes(peek.error).decode() or None)


def _translate(event: _Event) -> UserEvent:
    match event:
        case _OrderTradeUpdate():
            return _order(event)
        case _TradeLite():
            finite(event)
            return FillNotice(
                event.E, event.T or event.E, event.s, event.i, event.c, event.S, event.l, event.L, event.t, event.m
            )
        case _AlgoUpdate():
            return _algo(event)
        case _AccountUpdate():
            return _account(event)
        case _ConfigUpdate():
            return ConfigUpdate(
                event.E,
                event.ac.s if event.ac else None,
                event.ac.l if event.ac else None,
                event.ai.j if event.ai else None,
            )
        case _MarginCall():
            risks = (finite(risk) for risk in event.p)
            return MarginCall(event.E, tuple(MarginRisk(r.s, r.pa, r.mp, r.up, r.mm, r.iw) for r in risks))
        case _KeyExpired():
            return ListenKeyExpired(event.E)


def _order(event: _OrderTradeUpdate) -> OrderUpdate:
    o = finite(event.o)
    reason = str(o.er).strip()
    return OrderUpdate(
        event_ts_ms=event.E,
        ts_ms=o.T,
        symbol=o.s,
        order_id=o.i,
        client_id=o.c,
        side=o.S,
        type=o.o,
        execution=o.x,
        status=o.X,
        quantity=o.q,
        price=o.p,
        avg_price=o.ap,
        filled=o.z,
        last_quantity=o.l,
        last_price=o.L,
        trade_id=o.t if o.t > 0 else None,
        commission=number(o.n) or ZERO,
        commission_asset=o.N or None,
        realized_pnl=o.rp,
        maker=o.m,
        reduce_only=o.R,
        close_position=o.cp,
        expiry_reason=int(reason) if reason.isdigit() else -1,
        position_side=o.ps,
    )


def _algo(event: _AlgoUpdate) -> AlgoUpdate:
    o = event.o
    return AlgoUpdate(
        event_ts_ms=event.E,
        ts_ms=event.T or event.E,
        symbol=o.s,
        algo_id=o.aid,
        client_id=o.caid,
        side=o.S,
        type=o.o,
        status=o.X,
        trigger_price=number(o.tp) or ZERO,
        working_type=o.wt,
        close_position=o.cp,
        reduce_only=o.R,
        quantity=number(o.q) or ZERO,
        child_order_id=order_id_of(o.ai),
        child_avg_price=number(o.ap) or ZERO,
        child_filled=number(o.aq) or ZERO,
        trigger_ts_ms=o.tt or None,
        reject_message=o.rm or "",
    )


def _account(event: _AccountUpdate) -> AccountUpdate:
    a = event.a
    return AccountUpdate(
        event_ts_ms=event.E,
        ts_ms=event.T or event.E,
        reason=a.m,
        balances=tuple(BalanceChange(b.a, b.wb, b.cw, b.bc) for b in map(finite, a.B)),
        positions=tuple(
            PositionChange(p.s, p.pa, p.ep, p.bep, p.cr, p.up, p.mt.lower() == "isolated", p.iw, p.ps)
            for p in map(finite, a.P)
        ),
        funding_symbol=a.S or None,
    )
