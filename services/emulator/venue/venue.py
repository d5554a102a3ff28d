"""The fold: seconds of the market and requests in, answers and events out. Deterministic, no clock of its own."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from decimal import Decimal
from hashlib import sha512
from typing import Any, Protocol

from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS
from services.emulator.params import ApiError
from services.emulator.venue import liquidation
from services.emulator.venue.algos import Algos
from services.emulator.venue.book import Quote, Span
from services.emulator.venue.contract import Contract
from services.emulator.venue.ledger import Ledger
from services.emulator.venue.model import OPEN, Account, dump, load
from services.emulator.venue.orders import Orders
from services.emulator.venue.payloads import Event
from services.emulator.venue.switches import Switches

SECOND_MS = 1_000
FORGOTTEN_MS = 3 * DAY_MS  # ended without a fill
KEPT_MS = 90 * DAY_MS


class Feed(Protocol):
    """The market as the venue needs it. Both answers depend on their arguments alone."""

    def quote(self, symbol: str, ts_ms: int) -> Quote | None:
        """The second that begins at ``ts_ms``, not ``live`` in a minute without a bar; None without any price."""

    def span(self, symbol: str, minute_ms: int) -> Span | None:
        """Bounds of every quote of the minute that opens at ``minute_ms``; None when it has no bar."""

    def settlements(self, symbol: str, from_ms: int, to_ms: int) -> list[tuple[int, Decimal, Decimal]]:
        """Funding ``(ts_ms, rate, mark)`` with ``from_ms <= ts_ms < to_ms``."""


class Desk:
    """One account with everything that acts on it."""

    def __init__(
        self, ledger: Ledger, share: Callable[[str, int, int], float], delay: Callable[[str, int, int], int]
    ) -> None:
        self.ledger = ledger
        self.orders = Orders(ledger, share, delay)
        self.algos = Algos(ledger, self.orders)

    def settle(self, symbol: str, now_ms: int) -> None:
        self.orders.settle(symbol, now_ms)
        self.algos.settle(symbol, now_ms)

    def frozen(self) -> Account:
        """A copy of the account that later changes leave alone; what cannot change any more is shared."""
        account, algos = self.ledger.account, self.algos
        copy = replace(
            account,
            positions={symbol: replace(position) for symbol, position in account.positions.items()},
            setups={symbol: replace(setup) for symbol, setup in account.setups.items()},
            orders=dict(account.orders),
            algos=dict(account.algos),
            trades=account.trades[:],
            incomes=account.incomes[:],
            amendments=account.amendments[:],
            countdowns=dict(account.countdowns),
            forgotten=dict(account.forgotten),
        )
        for orders in self.ledger.open.values():
            copy.orders |= {number: replace(order) for number, order in orders.items()}
        for pending in algos.open.values():
            copy.algos |= {number: replace(algo) for number, algo in pending.items()}
        copy.algos |= {algo.id: replace(algo) for algo in algos.parents.values()}
        return copy

    def active(self) -> set[str]:
        """Symbols that a price can do something to."""
        found = {position.symbol for position in self.ledger.held()}
        found.update(symbol for symbol, orders in self.ledger.open.items() if orders)
        found.update(symbol for symbol, algos in self.algos.open.items() if algos)
        found.update(self.ledger.account.countdowns)
        return found

    def loud(self, spans: Mapping[str, Span]) -> set[str]:
        """Symbols that prices within ``spans`` may do something to, those without a span left out."""
        ledger = self.ledger
        found = {s for s, span in spans.items() if not (self.orders.quiet(s, span) and self.algos.quiet(s, span))}
        cross = []
        for position in ledger.held():
            if not ledger.setup(position.symbol).isolated:
                cross.append(position)
            elif position.symbol in spans and (
                position.called or not liquidation.quiet(ledger, [position], position.isolated_wallet, spans)
            ):
                found.add(position.symbol)
        symbols = {position.symbol for position in cross}
        carried = not ledger.account.cross_called and symbols <= spans.keys() and not symbols & found
        if cross and not (carried and liquidation.quiet(ledger, cross, ledger.cross_wallet(), spans)):
            found |= symbols
        return found

    def pending_algos(self, symbol: str | None = None) -> int:
        if symbol is not None:
            return len(self.algos.open.get(symbol, {}))
        return sum(len(found) for found in self.algos.open.values())


class Venue:
    """All accounts. ``stuck(symbol, ts_ms)``: a trigger hangs then; ``share(symbol, ts_ms, order)``: what part of a
    market order is filled; ``delay`` of the same: how many milliseconds late it reaches the book. They must depend on
    their arguments alone, so that a replay repeats them."""

    def __init__(
        self,
        contracts: Mapping[str, Contract],
        feed: Feed,
        accounts: Iterable[Account],
        now_ms: int,
        *,
        seed: int = 7,
        switches: Switches | None = None,
        stuck: Callable[[str, int], bool] = lambda _symbol, _ts_ms: False,
        share: Callable[[str, int, int], float] = lambda _symbol, _ts_ms, _order: 1.0,
        delay: Callable[[str, int, int], int] = lambda _symbol, _ts_ms, _order: 0,
    ) -> None:
        self.contracts, self.feed, self.seed = dict(contracts), feed, seed
        self._changed_ms = 0  # when ``remember`` was called last
        self._past: deque[tuple[int, dict[str, Account]]] = deque()
        self.switches = Switches() if switches is None else switches
        self.stuck, self.share, self.delay = stuck, share, delay
        self.now_ms = now_ms // SECOND_MS * SECOND_MS
        self._quotes: dict[str, Quote] = {}
        self._spans: tuple[int, dict[str, Span | None]] = (-1, {})
        self.desks: dict[str, Desk] = {}
        self._adopt(accounts)

    def _adopt(self, accounts: Iterable[Account]) -> None:
        self.desks = {
            a.name: Desk(Ledger(a, self.contracts, self.switches, self.seed, self.quote_of), self.share, self.delay)
            for a in accounts
        }

    # --- the market ---

    def quote_of(self, symbol: str) -> Quote:
        """The market of ``symbol`` now, or as it was last seen; -4108 when it never had a price."""
        known = self._quotes.get(symbol)
        if known is None or known.ts_ms != self.now_ms:
            found = self.feed.quote(symbol, self.now_ms)
            if found is not None:
                known = self._quotes[symbol] = found
        if known is None:
            raise ApiError(-4108, "This contract is being settled and cannot be traded.")
        return known

    def advance(self, now_ms: int) -> None:
        """Live through every second up to ``now_ms``. How often this is called makes no difference."""
        end = now_ms // SECOND_MS * SECOND_MS
        while self.now_ms < end:
            active = set().union(*(desk.active() for desk in self.desks.values()))
            if not active:
                self.now_ms = end
                return
            following = self.now_ms + SECOND_MS
            minute_ms = following // MINUTE_MS * MINUTE_MS
            loud = self._loud(active, minute_ms)
            if not loud:  # the rest of the minute changes nothing
                self.now_ms = min(end, minute_ms + MINUTE_MS - SECOND_MS)
                continue
            self.now_ms = following
            for symbol in sorted(loud):
                self._second(symbol)

    def _loud(self, active: set[str], minute_ms: int) -> set[str]:
        """Symbols whose seconds must be lived through in this minute, because something might happen in them."""
        late, after = self.switches.funding_late_ms, minute_ms + MINUTE_MS
        if (after - SECOND_MS - late) // HOUR_MS != (minute_ms - SECOND_MS - late) // HOUR_MS:
            return active
        if self._spans[0] != minute_ms:
            self._spans = minute_ms, {}
        spans = self._spans[1]
        for symbol in active - spans.keys():
            spans[symbol] = self.feed.span(symbol, minute_ms)
        loud = {symbol for symbol in active if self.contracts[symbol].spec.delivery_ms < after}
        for desk in self.desks.values():
            loud |= {symbol for symbol, ms in desk.orders.due().items() if ms < after}
            loud |= desk.loud({symbol: span for symbol, span in spans.items() if span is not None and symbol in active})
        return loud

    def _second(self, symbol: str) -> None:
        now = self.now_ms
        settled = now - self.switches.funding_late_ms
        if settled % HOUR_MS < SECOND_MS:
            for _, rate, mark in self.feed.settlements(symbol, settled, settled + SECOND_MS):
                for desk in self.desks.values():
                    desk.ledger.fund(symbol, mark, rate, now)
        delivery = self.contracts[symbol].spec.delivery_ms
        if delivery <= now:
            for desk in self.desks.values():
                liquidation.deliver(desk.ledger, desk.orders, desk.algos, symbol, now)
            return
        for desk in self.desks.values():
            desk.orders.timed(symbol, now)
        quote, stuck = self.quote_of(symbol), self.stuck(symbol, now)
        if not quote.live:
            return
        for desk in self.desks.values():
            # the exchange's own hand comes before a stop at the same price
            liquidation.watch(desk.ledger, desk.orders, desk.algos, quote, symbol)
            desk.algos.tick(quote, symbol, stuck=stuck)
            desk.orders.rest(quote, symbol)
            desk.settle(symbol, now)

    # --- events and state ---

    def take_events(self) -> list[tuple[str, Event]]:
        """Events since the last call, by account, in the order they happened."""
        found = []
        for name, desk in self.desks.items():
            if desk.ledger.events:
                found += [(name, event) for event in desk.ledger.events]
                desk.ledger.events.clear()
        return found

    def listen_key(self, name: str) -> str:
        """The account's key of its present serial, 64 letters and digits."""
        account = self.desks[name].ledger.account
        digest = sha512(f"{self.seed}:{name}:{account.listen_serial}".encode()).digest()
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        return "".join(letters[byte % 62] for byte in digest)

    def changed(self, contracts: Mapping[str, Contract]) -> None:
        """Contracts, or the prices of the feed, are other ones from now on."""
        self.contracts.update(contracts)
        self._quotes.clear()
        self._spans = (-1, {})

    def remember(self, keep_ms: int) -> None:
        """Keep the accounts as they are now for ``past``, at most twenty times in ``keep_ms``; drop older ones."""
        self._changed_ms = self.now_ms
        if self._past and 0 <= self.now_ms - self._past[-1][0] < keep_ms // 20:
            return
        self._past.append((self.now_ms, {name: desk.frozen() for name, desk in self.desks.items()}))
        while len(self._past) > 1 and self._past[1][0] <= self.now_ms - keep_ms:
            self._past.popleft()

    def past(self, name: str, ts_ms: int) -> Desk:
        """The account as it was at ``ts_ms``, or as early as is remembered; as it is when nothing changed since."""
        if ts_ms >= self._changed_ms:
            return self.desks[name]
        found = [accounts[name] for ms, accounts in self._past if ms <= ts_ms and name in accounts]
        if not found and self._past and name in self._past[0][1]:
            found = [self._past[0][1][name]]
        if not found:
            return self.desks[name]
        kept = Desk(Ledger(found[-1], self.contracts, self.switches, self.seed, self.quote_of), self.share, self.delay)
        ledger = Ledger(kept.frozen(), self.contracts, self.switches, self.seed, self.quote_of)
        return Desk(ledger, self.share, self.delay)

    def switch(self, switches: Switches) -> None:
        """Behave otherwise from now on."""
        self.switches = switches
        for desk in self.desks.values():
            desk.ledger.switches = switches

    def state(self) -> dict[str, Any]:
        """Everything, in the words of JSON. What the exchange itself forgets is left out (§6.1)."""
        accounts = [desk.ledger.account for desk in self.desks.values()]
        for account in accounts:
            _forget(account, self.now_ms)
        return {"now_ms": self.now_ms, "switches": asdict(self.switches), "accounts": dump(accounts)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``; accounts it does not know stay as they are."""
        kept = {name: desk.ledger.account for name, desk in self.desks.items()}
        for account in load(list[Account], state["accounts"]):
            kept[account.name] = account
        self.now_ms = int(state["now_ms"])
        self.switches = Switches(**state["switches"])
        self._quotes.clear()
        self._spans = (-1, {})
        self._past.clear()
        self._adopt(kept.values())


def _forget(account: Account, now_ms: int) -> None:
    parents = {algo.child_id for algo in account.algos.values() if algo.status == "TRIGGERED"}
    for order in list(account.orders.values()):
        limit = KEPT_MS if order.executed else FORGOTTEN_MS
        if order.status not in OPEN and order.id not in parents and now_ms - order.updated_ms > limit:
            del account.orders[order.id]
    for algo in list(account.algos.values()):
        limit = KEPT_MS if algo.child_id else FORGOTTEN_MS
        if algo.status in ("FINISHED", "CANCELED", "EXPIRED", "REJECTED") and now_ms - algo.updated_ms > limit:
            del account.algos[algo.id]
    sums = account.forgotten  # the wallet stays the sum of its incomes, kept or not, and positions that of trades
    for trade in account.trades:
        if now_ms - trade.time_ms > KEPT_MS:
            signed = trade.qty if trade.side == "BUY" else -trade.qty
            for name, value in (("pnl", trade.pnl), ("fee", -trade.fee), (f"qty:{trade.symbol}", signed)):
                sums[name] = sums.get(name, Decimal(0)) + value
    for income in account.incomes:
        if now_ms - income.time_ms > KEPT_MS:
            for name in ("wallet", income.kind):
                sums[name] = sums.get(name, Decimal(0)) + income.amount
    account.trades[:] = [trade for trade in account.trades if now_ms - trade.time_ms <= KEPT_MS]
    account.incomes[:] = [income for income in account.incomes if now_ms - income.time_ms <= KEPT_MS]
