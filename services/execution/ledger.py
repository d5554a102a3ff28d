"""Closed trades and the wallet, booked from what the exchange says of them (execution.md 17)."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import structlog

from packages.common.errors import InvalidInputError, VenueError
from packages.common.reasons import ExitReason
from packages.common.time import MINUTE_MS, monotonic_ms
from packages.exchange import trading as wire
from services.execution import books
from services.execution.core import events as ev
from services.execution.desk import Desk, TripOf
from services.execution.journal import JournalError, WalletSeen
from services.execution.kill_switch import Trip
from services.execution.ports import Recorder

log = structlog.get_logger(__name__)

ZERO = Decimal(0)
_KEPT = 1_000
_PAGE = 1_000
_BOOK_TRIES = 60
_EMPTY_READS = 40  # a minute or so, after which a position without a plan had no trades of its own
_QUIET_MS = 2_000.0
_CLOCKS_MS = 2_000  # by which clocks may disagree
_LEDGER_TRIES = 3
_MARK_PAGES = 30  # about a month of minutes


async def income_between(trading: wire.Trading, symbol: str | None, start_ms: int, end_ms: int) -> list[wire.Income]:
    """Bookings on one symbol, or all of them. Raises ``VenueError``."""
    out: list[wire.Income] = []
    for page in range(1, 100):
        rows = await trading.income(start_ms, end_ms, page=page, limit=_PAGE)
        out += [row for row in rows if symbol is None or row.symbol == symbol]
        if len(rows) < _PAGE:
            break
    return out


@dataclass(frozen=True, slots=True)
class Life:
    """A position's life that is over, or may be. ``over_ms``: the symbol was proven flat then; ``seen_ms``: a position
    was first seen then, None: none ever was. ``marks``: lowest and highest seen meanwhile. ``filled``: the entry filled
    at least so much."""

    symbol: str
    plan: books.Plan | books.Adopted
    over_ms: int
    seen_ms: int | None = None
    reason: str | None = None
    marks: tuple[Decimal, Decimal] | None = None
    filled: Decimal = ZERO


class TradeBooks:
    """Books lives that are over."""

    def __init__(self, desk: Desk, recorder: Recorder) -> None:
        self._desk, self._recorder = desk, recorder
        self._closed: deque[books.Closed] = deque(maxlen=_KEPT)
        self._count = 0
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._booked: dict[str, int] = {}  # last trade of each symbol that is in the books
        self._since_ms: int | None = None

    def begin(self) -> None:
        """From now on this process sees every life from its first sign."""
        self._since_ms = self._desk.clock.now_ms()

    @property
    def closed(self) -> tuple[books.Closed, ...]:
        """The last lives booked, oldest first."""
        return tuple(self._closed)

    @property
    def closed_before(self) -> int:
        """How many more came before ``closed``."""
        return self._count - len(self._closed)

    async def book(self, life: Life) -> None:
        """A life from trades and income by id (rule 17), tried until it is booked. Which trades are its own their ids
        say, for clocks may disagree; only when the exchange no longer knows the entry, or there was none of ours, are
        they those that led to flat. One after another for each symbol: a word that came late of a position that is over
        looks like another one, and there are no trades of it but those that are in the books."""
        async with self._turns[life.symbol]:
            await self._book(life)

    async def _book(self, life: Life) -> None:
        desk, symbol, plan, empty = self._desk, life.symbol, life.plan, 0
        closing: ev.Leg | None = None
        for tries_left in reversed(range(_BOOK_TRIES)):
            try:
                trades = await self._trades(life)
                cut = isinstance(plan, books.Adopted)
                if trades is None and cut:
                    empty += 1
                    trades = [] if empty == _EMPTY_READS else None
                elif trades is None and not tries_left:
                    trades, cut = await self._led_to_flat(life), True
                closed = None
                if trades:
                    start, last = trades[0].ts_ms, trades[-1].ts_ms
                    end = min(max(life.over_ms, last + 1), last + MINUTE_MS)
                    income = await income_between(desk.trading, symbol, start, end)
                    direction = plan.intent.direction if isinstance(plan, books.Plan) else None
                    staged = await self._staged(plan, trades)
                    closed = books.close_out(symbol, trades, income, direction, cut=cut, staged=staged)
                if trades is not None and (closed is None or closed.complete):
                    await self._recorder.fills(symbol, trades)
                    closing = await self._leg_of_order(symbol, trades[-1].order_id) if trades else None
                    break
            except (VenueError, InvalidInputError) as exc:
                log.warning("book_failed", symbol=symbol, error=str(exc))
            await asyncio.sleep(desk.config.retry_s)
        else:
            desk.risk("NOT_BOOKED", symbol, "A closed trade could not be booked; see order_intents", 2)
            return
        # The journal says first that the life is over: a successor that read it as open would book it once more, from a
        # plan of which the journal knows but half.
        with suppress(JournalError):
            await desk.journal.synced()
        if closed is None:
            self._put(plan, "closed", opened=False)
            return
        if closed.unseen:
            message = "A closed trade began before the exchange's history: its entry is what the profit implies"
            desk.risk("BOOKED_IN_PART", symbol, message, 1, unseen=str(closed.unseen))
        assert trades
        self._booked[symbol] = max(self._booked.get(symbol, -1), trades[-1].trade_id)
        self._closed.append(closed)
        self._count += 1
        word = _exit_word(closing, life.reason, closed)
        marks = await self._marks(closed, life.marks)
        desk.writer.put("trades", [books.trade_row(closed, plan, word, marks)])
        self._put(plan, "booked", net=str(closed.net), entry_ts_ms=closed.entry_ts_ms)

    def _put(self, plan: books.Plan | books.Adopted, state: str, **details: Any) -> None:
        if isinstance(plan, books.Plan):
            self._desk.put_intent(plan, state, **details)
        else:
            self._desk.put_adopted(plan, state, **details)

    async def _staged(self, plan: books.Plan | books.Adopted, trades: Sequence[wire.Trade]) -> set[int]:
        """Which orders among these trades were parts of the plan that left on the way to its target."""
        if isinstance(plan, books.Adopted) or not plan.intent.stages:
            return set()
        numbers = {row.order_id for row in trades}
        return {number for number in numbers if await self._leg_of_order(plan.symbol, number) is ev.Leg.STAGE}

    async def _leg_of_order(self, symbol: str, number: int) -> ev.Leg | None:
        """Which leg of ours an order is, or is the child of; None for everybody else's."""
        named = self._desk.translator.owner(symbol, number, "")
        if named is None:
            order = await self._desk.trading.query_order(symbol, number)
            named = self._desk.translator.named(order.client_id) if order is not None else None
        return named.leg if named is not None else None

    async def _marks(
        self, closed: books.Closed, seen: tuple[Decimal, Decimal] | None
    ) -> tuple[Decimal, Decimal] | None:
        """Lowest and highest mark: those this process saw, and those of every whole minute of the life, of which an
        earlier process may have seen some."""
        start, end = -(-closed.entry_ts_ms // MINUTE_MS) * MINUTE_MS, closed.exit_ts_ms // MINUTE_MS * MINUTE_MS
        for _ in range(_MARK_PAGES):
            if start >= end:
                break
            try:
                bars = await self._desk.outside.mark_bars(closed.symbol, start, end)
            except VenueError as exc:
                log.info("marks_not_read", symbol=closed.symbol, error=str(exc))
                break
            if not bars:
                break
            seen, start = books.widened(seen, bars), bars[-1].ts_ms + MINUTE_MS
        return seen

    async def _trades(self, life: Life) -> list[wire.Trade] | None:
        """The trades from the entry's first on, until flat; empty when it never filled, None when the exchange does not
        tell of all of them (it may not find an order for minutes, incident 2, or never again, incident 8)."""
        plan, trading = life.plan, self._desk.trading
        if isinstance(plan, books.Adopted):
            return await self._led_to_flat(life)
        order = await trading.query_order(plan.symbol, plan.entry_id) if plan.entry_id else None
        if order is None:
            return None if life.filled or life.seen_ms is not None else []
        if order.filled < life.filled:
            return None
        if order.filled == 0:
            return []
        entries = await trading.user_trades(plan.symbol, order_id=order.order_id)
        if sum((row.quantity for row in entries), ZERO) < order.filled:
            return None
        return books.life_of(await trading.user_trades(plan.symbol, from_id=entries[0].trade_id))

    async def _led_to_flat(self, life: Life) -> list[wire.Trade] | None:
        """The last trades up to the end of this life, back to where it was flat before; None when its end is not (yet)
        among them. Its first sign may have come after its end: then it is what this process has seen and not booked."""
        trades = [row for row in await self._desk.trading.user_trades(life.symbol) if row.ts_ms <= life.over_ms]
        if not trades or life.seen_ms is None or trades[-1].trade_id <= self._booked.get(life.symbol, -1):
            return None
        since_ms = life.seen_ms if self._since_ms is None else min(self._since_ms, life.seen_ms)
        if trades[-1].ts_ms < since_ms - _CLOCKS_MS:
            return None
        return books.last_life(trades)


class WalletCheck:
    """Rule 17, nightly: what the wallet changed by is what the exchange booked, to the cent. Compared between two
    moments in which nothing happened, of which an earlier process may have seen the first (``since``); a difference is
    looked at three times before it halts."""

    def __init__(self, desk: Desk, trip: TripOf, since: WalletSeen | None) -> None:
        self._desk, self._trip = desk, trip
        self.since = since
        self._misses = 0
        self._event_mono_ms = monotonic_ms()

    def disturb(self) -> None:
        """Something happened on the account."""
        self._event_mono_ms = monotonic_ms()

    async def check(self) -> None:
        """Compare when it is due and quiet. Raises ``VenueError``."""
        trading, config, now = self._desk.trading, self._desk.config, self._desk.clock.now_ms()
        since = self.since
        if since is not None and now - since.ts_ms < config.ledger_every_ms:
            return
        if not self._quiet():
            return
        wallet = (await trading.account()).wallet_balance
        if since is not None:
            booked = sum((row.amount for row in await income_between(trading, None, since.ts_ms, now)), ZERO)
            difference = wallet - since.wallet - booked
            if not self._quiet():
                return  # something happened meanwhile
            if abs(difference) > config.ledger_slack:
                self._misses += 1
                log.warning("ledger_differs", difference=str(difference), tries=self._misses)
                if self._misses < _LEDGER_TRIES:
                    return
                text = f"the wallet changed by {wallet - since.wallet}, the exchange booked {booked}"
                self._trip(Trip(ev.Latch.HALTED, "LEDGER_MISMATCH", "ledger", text))
        if self._quiet():
            self.since, self._misses = WalletSeen(now, wallet), 0
            self._desk.journal.note(self.since)

    def _quiet(self) -> bool:
        return monotonic_ms() - self._event_mono_ms >= _QUIET_MS


def _exit_word(closing: ev.Leg | None, reason: str | None, closed: books.Closed) -> str:
    """Why the position was closed, in the kernel's words."""
    if closed.liquidation_fee:
        return ExitReason.LIQUIDATION.value
    if closing is ev.Leg.STOP or reason in ("software_stop", "stop_crossed"):
        return ExitReason.SL.value
    if closing in (ev.Leg.TARGET, ev.Leg.STAGE) or reason == "target_crossed":
        return ExitReason.TP.value
    if reason == "time":
        return ExitReason.TIME.value
    if reason in ("operator", "agent"):
        return reason.upper()
    return ExitReason.HALT.value
