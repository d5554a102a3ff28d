"""The exchange's payloads, typed, and their translation into our records. Decoding is the only place that knows them.

Numbers come as strings, mostly, and sometimes not; times come as integers, mostly: lax decoding takes both. Unknown
fields are ignored, because the exchange adds some every few months.
"""

import math
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import numpy as np

from packages.common.time import round_minute
from packages.common.types import Bar, KlineUpdate, MarkTick, OhlcBar, Settlement
from packages.exchange.port import (
    BookTop,
    Bracket,
    Brackets,
    Columns,
    ExchangeInfo,
    FundingInfo,
    InstrumentInfo,
    OpenInterest,
    PremiumIndex,
)

# --- REST: bars ------------------------------------------------------------------------------------------------------


class KlineRow(msgspec.Struct, array_like=True, gc=False):
    """A row of ``klines``: 12 slots, of which the last is to be ignored."""

    ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    close_ts: int
    quote_volume: float
    trades: int
    taker_buy_volume: float
    taker_buy_quote_volume: float


class PriceRow(msgspec.Struct, array_like=True, gc=False):
    """A row of mark or index klines: only the first five slots mean anything (some others hold ``"0  "``)."""

    ts: int
    open: float
    high: float
    low: float
    close: float


_kline_rows = msgspec.json.Decoder(list[KlineRow], strict=False)
_price_rows = msgspec.json.Decoder(list[PriceRow], strict=False)
_BAR_COLUMNS = (
    *("ts", "open", "high", "low", "close", "volume", "quote_volume", "trades"),
    *("taker_buy_volume", "taker_buy_quote_volume"),
)
_INT_COLUMNS = frozenset({"ts", "trades"})


def decode_klines(body: bytes) -> list[KlineRow]:
    """Rows of ``klines``; raises ``msgspec.DecodeError`` (also for a wrong type)."""
    return _kline_rows.decode(body)


def decode_prices(body: bytes) -> list[PriceRow]:
    """Rows of ``markPriceKlines`` and ``indexPriceKlines``."""
    return _price_rows.decode(body)


def columns_of(rows: list[KlineRow] | list[PriceRow], names: Iterable[str]) -> Columns:
    """One array per name: int64 for ``ts`` and ``trades``, else float64."""
    columns: Columns = {}
    for name in names:
        values = [getattr(row, name) for row in rows]
        columns[name] = np.array(values, np.int64) if name in _INT_COLUMNS else np.array(values, np.float64)
    return columns


def bar_columns(rows: list[KlineRow]) -> Columns:
    return columns_of(rows, _BAR_COLUMNS)


def price_columns(rows: list[PriceRow]) -> Columns:
    return columns_of(rows, PriceRow.__struct_fields__)


def to_bar(symbol: str, row: KlineRow) -> Bar:
    return Bar(
        symbol,
        row.ts,
        row.open,
        row.high,
        row.low,
        row.close,
        row.volume,
        row.quote_volume,
        row.trades,
        row.taker_buy_volume,
        row.taker_buy_quote_volume,
    )


def to_ohlc(symbol: str, row: PriceRow) -> OhlcBar:
    return OhlcBar(symbol, row.ts, row.open, row.high, row.low, row.close)


# --- REST: the rest --------------------------------------------------------------------------------------------------


class _Time(msgspec.Struct, rename="camel"):
    server_time: int


class _Funding(msgspec.Struct, rename="camel"):
    symbol: str
    funding_time: int
    funding_rate: float
    mark_price: str = ""


class _FundingInfo(msgspec.Struct, rename="camel"):
    symbol: str
    adjusted_funding_rate_cap: float
    adjusted_funding_rate_floor: float
    funding_interval_hours: int


class _Premium(msgspec.Struct, rename="camel"):
    symbol: str
    mark_price: float
    time: int
    index_price: str = ""
    last_funding_rate: str = ""
    next_funding_time: int = 0


class _BookTop(msgspec.Struct, rename="camel"):
    symbol: str
    bid_price: Decimal
    ask_price: Decimal
    time: int


class _OpenInterest(msgspec.Struct, rename="camel"):
    symbol: str
    open_interest: float
    time: int


class _OpenInterestHist(msgspec.Struct, rename="camel"):
    symbol: str
    sum_open_interest: float
    sum_open_interest_value: float
    timestamp: int


class _Bracket(msgspec.Struct, rename="camel"):
    bracket: int
    initial_leverage: int
    notional_cap: float
    notional_floor: float
    maint_margin_ratio: float
    cum: float


class _Brackets(msgspec.Struct):
    symbol: str
    brackets: list[_Bracket]


class _RateLimit(msgspec.Struct, rename="camel"):
    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int


class _ExchangeInfo(msgspec.Struct, rename="camel"):
    symbols: list[dict[str, Any]]
    rate_limits: list[_RateLimit] = []


_time = msgspec.json.Decoder(_Time, strict=False)
_funding = msgspec.json.Decoder(list[_Funding], strict=False)
_funding_info = msgspec.json.Decoder(list[_FundingInfo], strict=False)
_premium = msgspec.json.Decoder(list[_Premium] | _Premium, strict=False)
_book_top = msgspec.json.Decoder(_BookTop, strict=False)
_open_interest = msgspec.json.Decoder(_OpenInterest, strict=False)
_open_interest_hist = msgspec.json.Decoder(list[_OpenInterestHist], strict=False)
_brackets = msgspec.json.Decoder(list[_Brackets] | _Brackets, strict=False)
_exchange_info = msgspec.json.Decoder(_ExchangeInfo, strict=False)


def optional_float(text: str) -> float:
    """NaN for the empty string: dated futures have no funding rate."""
    return float(text) if text.strip() else math.nan


def decode_time(body: bytes) -> int:
    return _time.decode(body).server_time


def decode_settlements(body: bytes) -> list[Settlement]:
    """Settlement times carry a few milliseconds of jitter: rounded to the minute."""
    return [
        Settlement(row.symbol, round_minute(row.funding_time), row.funding_rate, _positive(row.mark_price))
        for row in _funding.decode(body)
    ]


def decode_funding_info(body: bytes) -> list[FundingInfo]:
    return [
        FundingInfo(
            row.symbol, row.adjusted_funding_rate_cap, row.adjusted_funding_rate_floor, row.funding_interval_hours
        )
        for row in _funding_info.decode(body)
    ]


def decode_premium(body: bytes) -> list[PremiumIndex]:
    """One object or a list, as the exchange likes."""
    rows = _premium.decode(body)
    return [
        PremiumIndex(
            row.symbol,
            row.time,
            row.mark_price,
            optional_float(row.index_price),
            optional_float(row.last_funding_rate),
            row.next_funding_time,
        )
        for row in (rows if isinstance(rows, list) else [rows])
    ]


def decode_book_top(body: bytes) -> BookTop:
    row = _book_top.decode(body)
    return BookTop(row.symbol, row.time, row.bid_price, row.ask_price)


def decode_open_interest(body: bytes) -> OpenInterest:
    row = _open_interest.decode(body)
    return OpenInterest(row.symbol, row.time, row.open_interest, None)


def decode_open_interest_hist(body: bytes) -> list[OpenInterest]:
    return [
        OpenInterest(row.symbol, row.timestamp, row.sum_open_interest, row.sum_open_interest_value)
        for row in _open_interest_hist.decode(body)
    ]


def decode_brackets(body: bytes) -> list[Brackets]:
    """One object or a list (reference §6.2); tiers in ascending order whatever order they come in."""
    rows = _brackets.decode(body)
    return [
        Brackets(
            row.symbol,
            tuple(
                Bracket(b.bracket, b.initial_leverage, b.notional_floor, b.notional_cap, b.maint_margin_ratio, b.cum)
                for b in sorted(row.brackets, key=lambda b: b.notional_floor)
            ),
        )
        for row in (rows if isinstance(rows, list) else [rows])
    ]


def decode_exchange_info(body: bytes) -> ExchangeInfo:
    """Contracts by symbol. Precisions come from the filters: pricePrecision is not the tick (reference §11, 15)."""
    info = _exchange_info.decode(body)
    limit = next(
        (
            r.limit
            for r in info.rate_limits
            if r.rate_limit_type == "REQUEST_WEIGHT" and r.interval == "MINUTE" and r.interval_num == 1
        ),
        None,
    )
    return ExchangeInfo({raw["symbol"]: _instrument(raw) for raw in info.symbols}, limit)


def _instrument(raw: dict[str, Any]) -> InstrumentInfo:
    filters = {f.get("filterType"): f for f in raw.get("filters", [])}

    def number(filter_type: str, name: str) -> Decimal | None:
        return _decimal(filters.get(filter_type, {}).get(name))

    return InstrumentInfo(
        symbol=raw["symbol"],
        contract_type=str(raw.get("contractType", "")),
        status=str(raw.get("status", raw.get("contractStatus", ""))),
        base_asset=str(raw.get("baseAsset", "")),
        quote_asset=str(raw.get("quoteAsset", "")),
        margin_asset=str(raw.get("marginAsset", "")),
        onboard_ts_ms=int(raw.get("onboardDate", 0)),
        delivery_ts_ms=int(raw.get("deliveryDate", 0)),
        tick_size=number("PRICE_FILTER", "tickSize"),
        step_size=number("LOT_SIZE", "stepSize"),
        min_qty=number("LOT_SIZE", "minQty"),
        max_qty=number("LOT_SIZE", "maxQty"),
        market_step_size=number("MARKET_LOT_SIZE", "stepSize"),
        market_min_qty=number("MARKET_LOT_SIZE", "minQty"),
        market_max_qty=number("MARKET_LOT_SIZE", "maxQty"),
        min_notional=number("MIN_NOTIONAL", "notional"),
        liquidation_fee=_decimal(raw.get("liquidationFee")),
        raw=raw,
        band_up=number("PERCENT_PRICE", "multiplierUp"),
        band_down=number("PERCENT_PRICE", "multiplierDown"),
    )


def _decimal(value: object) -> Decimal | None:
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None


def _positive(text: str) -> float | None:
    value = optional_float(text)
    return value if value > 0 else None


# --- streams ---------------------------------------------------------------------------------------------------------


class _Candle(msgspec.Struct, gc=False):
    t: int
    i: str
    o: float
    h: float
    l: float  # noqa: E741 - the exchange's name
    c: float
    v: float
    n: int
    x: bool
    q: float
    V: float
    Q: float


class _Kline(msgspec.Struct, tag_field="e", tag="kline", gc=False):
    E: int
    s: str
    k: _Candle


class _Mark(msgspec.Struct, tag_field="e", tag="markPriceUpdate", gc=False):
    E: int
    s: str
    p: float
    T: int
    i: str = ""
    r: str = ""


class _Frame(msgspec.Struct, gc=False):
    data: _Kline | _Mark


class ControlFrame(msgspec.Struct):
    """An answer to SUBSCRIBE and the like, or an error; ``id`` echoes ours."""

    id: int | str | None = None
    result: Any = None
    error: dict[str, Any] | None = None


class _Peek(msgspec.Struct):
    stream: str | None = None
    data: Any = None


_frame = msgspec.json.Decoder(_Frame, strict=False)
_control = msgspec.json.Decoder(ControlFrame)
_peek = msgspec.json.Decoder(_Peek)


def decode_frame(text: str | bytes) -> KlineUpdate | MarkTick:
    """A frame of a combined market stream. Raises ``msgspec.DecodeError`` for anything else; see ``decode_other``."""
    data = _frame.decode(text).data
    if type(data) is _Mark:
        return MarkTick(
            data.s,
            data.E,
            data.p,
            float(data.i) if data.i else math.nan,
            float(data.r) if data.r else math.nan,
            data.T,
        )
    assert type(data) is _Kline
    k = data.k
    if k.i != "1m":
        raise msgspec.ValidationError(f"kline interval: got {k.i!r}, expected '1m'")
    return KlineUpdate(data.E, k.x, Bar(data.s, k.t, k.o, k.h, k.l, k.c, k.v, k.q, k.n, k.V, k.Q))


def decode_other(text: str | bytes) -> ControlFrame | str | None:
    """What a frame is that ``decode_frame`` refused: a control frame, the name of another event, or None (broken)."""
    try:
        peek = _peek.decode(text)
        if peek.data is None:
            return _control.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    event = peek.data.get("e") if isinstance(peek.data, dict) else None
    if event in ("kline", "markPriceUpdate") or not isinstance(event, str):
        return None  # one of ours, with content that does not decode
    return event
