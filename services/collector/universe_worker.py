"""Keeps ``instruments`` in step with the exchange (§26.3): a pure plan, and an hourly loop around it (D8)."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from packages.common.errors import VenueError, VenueRejectedError
from packages.common.time import HOUR_MS, Clock
from packages.common.types import SymbolStatus
from packages.exchange.port import Brackets, ExchangeInfo, InstrumentInfo, MarketData
from services.collector.bootstrap import bracket_row, snapshot_row
from services.collector.ports import Row, RowSink

_PERPETUAL = frozenset({"PERPETUAL", "TRADIFI_PERPETUAL"})
_STATUS = {
    "TRADING": SymbolStatus.ACTIVE,
    "PENDING_TRADING": SymbolStatus.HALTED,
    "TRADING_HALT": SymbolStatus.HALTED,
    "PRE_SETTLE": SymbolStatus.SETTLING,
    "SETTLING": SymbolStatus.SETTLING,
    "PRE_DELIVERING": SymbolStatus.SETTLING,
    "DELIVERING": SymbolStatus.SETTLING,
    "DELIVERED": SymbolStatus.DELISTED,
    "CLOSE": SymbolStatus.DELISTED,
}


def symbol_status(instrument: InstrumentInfo | None, now_ms: int) -> SymbolStatus:
    """Our word for an instrument's state. Only ``active`` may be traded; the exchange invents words, so the unknown
    ones are ``unknown``, as is what is no linear perpetual in USDT."""
    if instrument is None:
        return SymbolStatus.DELISTED
    status = _STATUS.get(instrument.status, SymbolStatus.UNKNOWN)
    if status is SymbolStatus.SETTLING and 0 < instrument.delivery_ts_ms <= now_ms:
        return SymbolStatus.DELISTED  # the exchange lists settled contracts for months
    linear = instrument.contract_type in _PERPETUAL and instrument.margin_asset == "USDT"
    return status if linear or status is SymbolStatus.DELISTED else SymbolStatus.UNKNOWN


def plan_instruments(
    info: ExchangeInfo,
    universe: Sequence[str],
    now_ms: int,
    *,
    max_leverage: Mapping[str, int] | None = None,
    known: Iterable[str] = (),
) -> list[Row]:
    """Rows of ``instruments``: the universe in its order, then ``known`` symbols that left it.

    Figures of a contract the exchange no longer lists are left out of its row, so that the stored ones stay.
    """
    rows = [_row(info, symbol, rank, now_ms, max_leverage or {}) for rank, symbol in enumerate(universe)]
    rows += [_row(info, symbol, None, now_ms, max_leverage or {}) for symbol in sorted(set(known) - set(universe))]
    return rows


def tradable(rows: Iterable[Row]) -> list[str]:
    """Symbols of planned rows that have live data and may be traded, in the universe's order."""
    return [str(row["symbol"]) for row in rows if row["in_universe"] and row["status"] == SymbolStatus.ACTIVE.value]


class UniverseWorker:
    """Reads the exchange's list and writes ours, every hour of market time."""

    def __init__(self, venue: MarketData, sink: RowSink, clock: Clock, universe: Sequence[str]) -> None:
        self._venue, self._sink, self._clock, self._universe = venue, sink, clock, tuple(universe)
        self._snapshot_day = -1

    async def sync_once(self, known: Iterable[str] = ()) -> list[Row]:
        """Write ``instruments`` and, once a day, the exchange's rules and tiers; returns the former."""
        info = await self._venue.exchange_info()
        now_ms = await self._venue.server_time_ms()
        brackets: list[Brackets] = []
        with contextlib.suppress(VenueRejectedError):  # where they are for account holders only, the column stays
            brackets = [b for b in await self._venue.leverage_brackets() if b.symbol in self._universe]
        leverage = {b.symbol: b.max_leverage for b in brackets if b.brackets}
        rows = plan_instruments(info, self._universe, now_ms, max_leverage=leverage, known=known)
        for group in _same_columns(rows):
            await self._sink.write_rows("instruments", group)
        day = now_ms // (24 * HOUR_MS)
        if day != self._snapshot_day:
            listed = [s for s in self._universe if s in info.instruments]
            await self._sink.write_rows("exchange_info_snapshots", [snapshot_row(info, s, now_ms) for s in listed])
            await self._sink.write_rows("leverage_brackets", [bracket_row(b, now_ms) for b in brackets])
            self._snapshot_day = day
        return rows

    async def run(self) -> None:
        """Sync for ever; an exchange that is away is tried again after a minute. Ends when cancelled."""
        while True:
            try:
                await self.sync_once()
                pause = HOUR_MS
            except VenueError:
                pause = HOUR_MS // 60
            await self._clock.sleep(pause)


def _row(info: ExchangeInfo, symbol: str, rank: int | None, now_ms: int, leverage: Mapping[str, int]) -> Row:
    instrument = info.instruments.get(symbol)
    row: dict[str, object] = {
        "symbol": symbol,
        "status": symbol_status(instrument, now_ms).value,
        "updated_at": now_ms,
        "in_universe": rank is not None,
        "universe_rank": rank,
        "exchange_status": instrument.status if instrument else None,
    }
    if instrument is None:
        return row
    row |= {
        "contract_type": instrument.contract_type,
        "onboard_ts": instrument.onboard_ts_ms or None,
        "delivery_ts": instrument.delivery_ts_ms or None,
        "price_decimals": _decimals(instrument.tick_size),
        "qty_decimals": _decimals(instrument.step_size),
    }
    names = ("tick_size", "step_size", "min_qty", "max_qty", "min_notional", "liquidation_fee")
    market = ("market_min_qty", "market_max_qty", "market_step_size")
    for name in (*names, *market):
        value = getattr(instrument, name)
        row[name] = None if value is None else float(value)
    if symbol in leverage:
        row["max_leverage"] = leverage[symbol]
    return row


def _decimals(step: Decimal | None) -> int | None:
    """Digits after the point that multiples of ``step`` need; never from pricePrecision (reference §11, 15)."""
    if step is None or step <= 0:
        return None
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else None


def _same_columns(rows: Sequence[Row]) -> list[list[Row]]:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append(row)
    return list(groups.values())
