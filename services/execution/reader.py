"""REST snapshots for the runners: position, open orders and open algo orders, shared between those who ask at once.

One symbol costs 7 of the weight, the whole account 85: many askers share one reading of the account. A reading begins
after the request for it, so that nothing older than the question is taken for an answer (rule 16).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from packages.exchange.trading import AlgoOrder, Order, Position, Trading

ZERO = Decimal(0)
TOGETHER = 10  # askers from which on the account is read whole
GATHER_S = 0.005


@dataclass(frozen=True, slots=True)
class Reading:
    """What the exchange showed of one symbol. ``position`` None: flat."""

    position: Position | None
    orders: Sequence[Order]
    algos: Sequence[AlgoOrder]

    @property
    def amount(self) -> Decimal:
        return self.position.amount if self.position is not None else ZERO


@dataclass(frozen=True, slots=True)
class AccountReading:
    """The whole account, by symbol; a symbol without position and orders is not in it."""

    symbols: dict[str, Reading]

    def of(self, symbol: str) -> Reading:
        return self.symbols.get(symbol, _NOTHING)


_NOTHING = Reading(None, (), ())


class SnapshotReader:
    """Reads for those who ask within a few milliseconds together."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self._waiting: dict[str, asyncio.Future[Reading]] = {}
        self._round: asyncio.Task[None] | None = None
        self._rounds: set[asyncio.Task[None]] = set()

    async def read(self, symbol: str) -> Reading:
        """One symbol now. Raises ``VenueError``."""
        future = self._waiting.get(symbol)
        if future is None:
            future = self._waiting[symbol] = asyncio.get_running_loop().create_future()
        if self._round is None:
            self._round = asyncio.create_task(self._gather(), name="snapshot-round")
            self._rounds.add(self._round)
            self._round.add_done_callback(self._rounds.discard)
        return await asyncio.shield(future)

    async def read_account(self) -> AccountReading:
        """Every symbol with a position or an order. Raises ``VenueError``."""
        orders, algos, positions = await asyncio.gather(
            self._trading.open_orders(), self._trading.open_algo_orders(), self._trading.positions()
        )
        symbols = {row.symbol for rows in (orders, algos, positions) for row in rows}
        return AccountReading({symbol: _of(symbol, positions, orders, algos) for symbol in symbols})

    async def _gather(self) -> None:
        await asyncio.sleep(GATHER_S)
        asked, self._waiting, self._round = self._waiting, {}, None
        if len(asked) < TOGETHER:
            await asyncio.gather(*(self._one(symbol, future) for symbol, future in asked.items()))
            return
        try:
            account = await self.read_account()
        except Exception as exc:
            for future in asked.values():
                _fail(future, exc)
            return
        for symbol, future in asked.items():
            if not future.done():
                future.set_result(account.of(symbol))

    async def _one(self, symbol: str, future: "asyncio.Future[Reading]") -> None:
        try:
            orders, algos, positions = await asyncio.gather(
                self._trading.open_orders(symbol),
                self._trading.open_algo_orders(symbol),
                self._trading.positions(symbol),
            )
        except Exception as exc:
            _fail(future, exc)
            return
        if not future.done():
            future.set_result(_of(symbol, positions, orders, algos))


def _fail(future: "asyncio.Future[Reading]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # whoever waits raises it; nobody waiting is no fault


def _of(symbol: str, positions: Sequence[Position], orders: Sequence[Order], algos: Sequence[AlgoOrder]) -> Reading:
    held = [row for row in positions if row.symbol == symbol and row.side == "BOTH"]
    return Reading(
        held[0] if held else None,
        [row for row in orders if row.symbol == symbol],
        [row for row in algos if row.symbol == symbol],
    )
