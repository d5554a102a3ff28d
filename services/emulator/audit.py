"""What an account went through, as the exchange saw it: the judge of those who trade here.

The fold reads the venue's own events (all of them, whether anybody listened or not) and stamps each with our wall clock
as it happens; amounts come from the venue's ledger. Nothing of a client's bookkeeping enters. ``Audit.report`` says,
per account:

- ``naked``: intervals with a position and no stop that would close all of it, in market and in wall milliseconds. A
  stop counts from the moment it is accepted until it has ended or its child has: STOP_MARKET on the closing side with
  ``closePosition``, or reduce-only ones whose quantities together reach the position. ``cause`` is ``entry``, ``more``
  (the position outgrew its stops), ``turned``, or the status in which the last stop ended; ``end`` is ``stop`` or
  ``flat``, empty while it lasts.
- ``duplicates``: orders that opened a position under a client id, or under an intent, that had opened one before. The
  intent of ``a-b-c-e1`` is ``a-b-c``: what stands before the leg and the attempt. ``stacked``: orders that added to a
  position which another order had opened.
- ``orphans``: conditional and reduce-only orders that stand now without a position; ``resting``: other open orders.
- ``episodes``: each position from flat to flat; ``orders``, ``algos``, ``trades``, ``incomes``, ``positions``: rows.
- ``differences``: wallet and incomes, positions and trades, incomes and trades, where they do not agree to the last
  digit (nowhere, or the venue itself is wrong).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from services.emulator.venue.model import LIVE, OPEN, ZERO, Account, dump, load
from services.emulator.venue.payloads import Event
from services.emulator.venue.venue import Venue

_ATTEMPT = re.compile(r"^(?P<intent>.+)-[a-z][0-9]+$")


@dataclass(slots=True)
class Naked:
    """An interval without a covering stop; ``amt`` is the largest position in it. ``end`` is empty while it lasts."""

    symbol: str
    amt: Decimal
    cause: str
    from_ms: int
    from_wall_ms: float
    to_ms: int = 0
    to_wall_ms: float = 0.0
    end: str = ""


@dataclass(slots=True)
class Episode:
    """A position from flat to flat (``to_ms`` 0 while it lasts); ``entries`` are the client ids that built it."""

    symbol: str
    side: str
    from_ms: int
    from_wall_ms: float
    most: Decimal
    entries: list[str] = field(default_factory=list)
    exit: str = ""
    to_ms: int = 0
    to_wall_ms: float = 0.0


@dataclass(slots=True)
class Entry:
    """An order that opened ``opened`` when the position was ``held``."""

    order_id: int
    client_id: str
    symbol: str
    side: str
    opened: Decimal
    held: Decimal
    ms: int
    wall_ms: float

    @property
    def intent(self) -> str:
        match = _ATTEMPT.match(self.client_id)
        return match["intent"] if match else self.client_id


@dataclass(slots=True)
class Stop:
    """A live STOP_MARKET; ``qty`` 0 closes everything."""

    symbol: str
    side: str
    qty: Decimal


@dataclass(slots=True)
class Case:
    """All that is kept of one account. ``walls``: when orders (o), algo orders (a) and trades (t) came to be."""

    amounts: dict[str, Decimal] = field(default_factory=dict)
    stops: dict[int, Stop] = field(default_factory=dict)
    naked: list[Naked] = field(default_factory=list)
    bare: dict[str, int] = field(default_factory=dict)  # the interval that lasts, by symbol
    episodes: list[Episode] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)  # the episode that lasts, by symbol
    entries: dict[int, Entry] = field(default_factory=dict)
    walls: dict[str, float] = field(default_factory=dict)


class Moment(NamedTuple):
    ms: int
    wall_ms: float


class Audit:
    """``wall`` gives our time in epoch milliseconds."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self.cases: dict[str, Case] = {}
        self.answers: dict[str, dict[str, int]] = {}

    # --- what happens ---

    def hear(self, account: str, event: Event) -> None:
        """An event of ``account``, at the moment it came about."""
        case, now = self.cases.setdefault(account, Case()), Moment(int(event["E"]), self._wall())
        if event["e"] == "ORDER_TRADE_UPDATE":
            _order(case, event["o"], now)
        elif event["e"] == "ALGO_UPDATE":
            _algo(case, event["o"], now)

    def answered(self, method: str, path: str, outcome: str) -> None:
        """A request was answered: ``outcome`` is the HTTP status, or the exchange's code when it was refused."""
        counts = self.answers.setdefault(f"{method} {path}", {})
        counts[outcome] = counts.get(outcome, 0) + 1

    # --- what it comes to ---

    def report(self, venue: Venue, *, rows: bool = True) -> dict[str, Any]:
        """See the module; in the words of JSON. ``rows`` False leaves out all but the ``summary`` of each account."""
        found = {}
        for name, desk in venue.desks.items():
            case, account = self.cases.get(name, Case()), desk.ledger.account
            judged = _judge(case, account)
            found[name] = judged if rows else {"summary": judged["summary"]}
        return {"market_ms": venue.now_ms, "wall_ms": self._wall(), "accounts": found, "answers": self.answers}

    def state(self) -> dict[str, Any]:
        return {"cases": dump(self.cases), "answers": self.answers}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a former ``state``; an empty one begins with nothing."""
        self.cases = load(dict[str, Case], state.get("cases", {}))
        self.answers = load(dict[str, dict[str, int]], state.get("answers", {}))


def _order(case: Case, row: Mapping[str, Any], now: Moment) -> None:
    case.walls.setdefault(f"o{row['i']}", now.wall_ms)
    if row["x"] not in ("TRADE", "CALCULATED"):
        return
    case.walls[f"t{row['t']}"] = now.wall_ms
    symbol, sign, qty = row["s"], 1 if row["S"] == "BUY" else -1, Decimal(row["l"])
    before = case.amounts.get(symbol, ZERO)
    after = before + sign * qty
    case.amounts[symbol] = after
    opened = abs(after) if before * after <= 0 else max(abs(after) - abs(before), ZERO)
    if before and (not after or before * after < 0):
        episode = case.episodes[case.held.pop(symbol)]
        episode.exit, episode.to_ms, episode.to_wall_ms = row["c"], now.ms, now.wall_ms
    if opened:
        entry = case.entries.get(row["i"])
        if entry is None:
            held = before if before * after > 0 else ZERO
            case.entries[row["i"]] = Entry(row["i"], row["c"], symbol, row["S"], opened, held, *now)
        else:
            entry.opened += opened
        if symbol not in case.held:
            case.held[symbol] = len(case.episodes)
            case.episodes.append(Episode(symbol, row["S"], *now, most=ZERO))
        episode = case.episodes[case.held[symbol]]
        episode.most = max(episode.most, abs(after))
        if row["c"] not in episode.entries:
            episode.entries.append(row["c"])
    cause = "entry" if not before else "turned" if before * after < 0 else "more"
    _cover(case, symbol, cause, now)


def _algo(case: Case, row: Mapping[str, Any], now: Moment) -> None:
    case.walls.setdefault(f"a{row['aid']}", now.wall_ms)
    if row["o"] != "STOP_MARKET" or not (row["cp"] or row["R"]):
        return
    if row["X"] in LIVE:
        case.stops[row["aid"]] = Stop(row["s"], row["S"], ZERO if row["cp"] else Decimal(row["q"]))
    else:
        case.stops.pop(row["aid"], None)
    _cover(case, row["s"], row["X"], now)


def _cover(case: Case, symbol: str, cause: str, now: Moment) -> None:
    """Begin or end a naked interval of ``symbol`` after something changed."""
    amt = case.amounts.get(symbol, ZERO)
    side = "SELL" if amt > 0 else "BUY"
    stops = [s for s in case.stops.values() if s.symbol == symbol and s.side == side]
    covered = any(not s.qty for s in stops) or sum((s.qty for s in stops), ZERO) >= abs(amt)
    number = case.bare.get(symbol)
    if amt and not covered:
        if number is None:
            case.bare[symbol] = len(case.naked)
            case.naked.append(Naked(symbol, amt, cause, *now))
        elif abs(amt) > abs(case.naked[number].amt):
            case.naked[number].amt = amt
    elif number is not None:
        found = case.naked[case.bare.pop(symbol)]
        found.to_ms, found.to_wall_ms, found.end = now.ms, now.wall_ms, "stop" if amt else "flat"


# --- judgement ---


def _judge(case: Case, account: Account) -> dict[str, Any]:
    duplicates, stacked = _repeated(case.entries.values())
    orphans, resting = _standing(case, account)
    differences = _differences(case, account)
    summary = {
        "naked": len(case.naked),
        "naked_now": sorted(case.bare),
        "naked_wall_ms": _spread([n.to_wall_ms - n.from_wall_ms for n in case.naked if n.end]),
        "naked_market_ms": _spread([float(n.to_ms - n.from_ms) for n in case.naked if n.end]),
        "entries": len(case.entries),
        "episodes": len(case.episodes),
        "open": sorted(case.held),
        "duplicates": len(duplicates),
        "stacked": len(stacked),
        "orphans": len(orphans),
        "trades": len(account.trades),
        "wallet": str(account.wallet),
        "differences": differences,
    }
    return {
        "summary": summary,
        "naked": dump(case.naked),
        "duplicates": dump(duplicates),
        "stacked": dump(stacked),
        "orphans": orphans,
        "resting": resting,
        "episodes": dump(case.episodes),
        "entries": dump(list(case.entries.values())),
        "positions": [dump(p) for p in account.positions.values() if p.amt],
        "orders": _stamped(account.orders.values(), case, "o"),
        "algos": _stamped(account.algos.values(), case, "a"),
        "trades": _stamped(account.trades, case, "t"),
        "incomes": dump(account.incomes),
    }


def _stamped(rows: Iterable[Any], case: Case, kind: str) -> list[dict[str, Any]]:
    """Rows with the wall time of their beginning; None for what a former process left unheard."""
    return [dump(row) | {"wall_ms": case.walls.get(f"{kind}{row.id}")} for row in rows]


def _repeated(entries: Iterable[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Entries whose client id or intent opened before, and those that added to a position of another order."""
    seen: set[str] = set()
    duplicates, stacked = [], []
    for entry in entries:
        if {entry.client_id, entry.intent} & seen:
            duplicates.append(entry)
        seen |= {entry.client_id, entry.intent}
        if entry.held:
            stacked.append(entry)
    return duplicates, stacked


def _standing(case: Case, account: Account) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Open orders that lost their position, and other open orders."""
    orphans: list[dict[str, Any]] = []
    resting: list[dict[str, Any]] = []
    for algo in account.algos.values():
        if algo.status in ("NEW", "TRIGGERING") and not case.amounts.get(algo.symbol):
            orphans.append(dump(algo))
    for order in account.orders.values():
        if order.status in OPEN:
            lost = order.reduce_only and not case.amounts.get(order.symbol)
            (orphans if lost else resting).append(dump(order))
    return orphans, resting


def _differences(case: Case, account: Account) -> list[str]:
    """Where the books of the account disagree with each other; empty when every cent is where it belongs."""
    found = []
    gone = account.forgotten
    total = sum((income.amount for income in account.incomes), gone.get("wallet", ZERO))
    if total != account.wallet:
        found.append(f"wallet {account.wallet}, incomes {total}")
    for kind, value in (
        ("REALIZED_PNL", sum((t.pnl for t in account.trades), gone.get("pnl", ZERO))),
        ("COMMISSION", -sum((t.fee for t in account.trades), -gone.get("fee", ZERO))),
    ):
        booked = sum((i.amount for i in account.incomes if i.kind == kind), gone.get(kind, ZERO))
        if booked != value:
            found.append(f"{kind} {booked}, trades {value}")
    traded = {name.removeprefix("qty:"): value for name, value in gone.items() if name.startswith("qty:")}
    for trade in account.trades:
        traded[trade.symbol] = traded.get(trade.symbol, ZERO) + (trade.qty if trade.side == "BUY" else -trade.qty)
    for symbol in sorted(traded.keys() | account.positions.keys() | case.amounts.keys()):
        position = account.positions.get(symbol)
        amounts = {traded.get(symbol, ZERO), case.amounts.get(symbol, ZERO), position.amt if position else ZERO}
        if len(amounts) > 1:
            found.append(f"{symbol}: position, trades and events say {sorted(amounts)}")
    return found


def _spread(values: list[float]) -> dict[str, float] | None:
    """p50, p99 and max by nearest rank; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    rank = {share: ordered[max(0, -(-len(ordered) * share // 100) - 1)] for share in (50, 99)}
    return {"p50": rank[50], "p99": rank[99], "max": ordered[-1]}
