"""Faults: what goes wrong, when (market time), for whom, how often. Decided by seed, so that a run repeats itself."""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Final, NamedTuple

from packages.common.errors import InvalidInputError
from packages.common.time import MINUTE_MS

FOREVER_MS = 1 << 52
CATEGORIES = ("market", "public", "private")
LEGS = ("entry", "exit", "stop", "target", "amend", "cancel", "setup", "query", "key", "market")


class Kind(StrEnum):
    """What can go wrong; ``KINDS`` says what each does and which fields of a fault it heeds."""

    DROP_CONNECTION = "drop_connection"
    CLOSE_CONNECTION = "close_connection"
    SILENT_SOCKET = "silent_socket"
    HALF_OPEN = "half_open"
    TRUNCATED_FRAME = "truncated_frame"
    MISSING_CLOSE = "missing_close"
    LATE_CLOSE = "late_close"
    REST_503 = "rest_503"
    REST_500 = "rest_500"
    REST_429 = "rest_429"
    REST_418 = "rest_418"
    REST_403 = "rest_403"
    REST_SLOW = "rest_slow"
    CLOCK_SKEW = "clock_skew"
    MAINTENANCE = "maintenance"
    STALE_READ = "stale_read"
    READ_OVERTAKEN = "read_overtaken"
    ORDER_LOST = "order_lost"
    ORDER_UNKNOWN = "order_unknown"
    ORDER_DROPPED = "order_dropped"
    ORDER_LATE = "order_late"
    ORDER_REJECTED = "order_rejected"
    ORDER_SLOW = "order_slow"
    EVENT_LOST = "event_lost"
    EVENT_LATE = "event_late"
    EVENT_TWICE = "event_twice"
    EVENT_SWAPPED = "event_swapped"
    EVENT_GARBLED = "event_garbled"
    KEY_EXPIRED = "key_expired"
    KEY_LOST = "key_lost"
    MARKET_SHORT = "market_short"
    FILL_LATE = "fill_late"
    TRIGGER_STUCK = "trigger_stuck"
    ADL = "adl"
    PRICE_GAP = "price_gap"
    MARK_GAP = "mark_gap"
    HALT = "halt"
    DELIST = "delist"
    FUNDING_HOURS = "funding_hours"
    COARSE_RULES = "coarse_rules"


class About(NamedTuple):
    """``layer``: what it befalls; ``takes``: fields it heeds besides times and share; ``says``: what happens."""

    layer: str
    takes: tuple[str, ...]
    says: str


_STRIKES = ("share", "after", "times")
_AGAIN = ("share", "every_ms", "times")
_ASKED = ("path", "leg", "symbols", *_STRIKES)
_TOLD = ("event", "symbols", *_STRIKES)

KINDS: Final[Mapping[Kind, About]] = {
    Kind.DROP_CONNECTION: About("socket", ("category", *_AGAIN), "open connections are cut without a close frame"),
    Kind.CLOSE_CONNECTION: About("socket", ("category", *_AGAIN), "open connections are closed (1001), as after 24 h"),
    Kind.SILENT_SOCKET: About("socket", ("category",), "connections answer and carry no data"),
    Kind.HALF_OPEN: About("socket", ("category",), "connections go dead for good: no data, no pong, no answer"),
    Kind.TRUNCATED_FRAME: About("socket", ("category", *_STRIKES), "a connection ends in the middle of a frame"),
    Kind.MISSING_CLOSE: About("push", ("symbols", "share"), "the closing push of a candle never comes"),
    Kind.LATE_CLOSE: About("push", ("symbols", "share", "delay_ms"), "it comes so late"),
    Kind.REST_503: About("request", _ASKED, "503 Service Unavailable, not executed"),
    Kind.REST_500: About("request", _ASKED, "500 with -1001, not executed"),
    Kind.REST_429: About(
        "request", (*_ASKED, "delay_ms"), "429 with -1003; Retry-After of `delay_ms`, none when it is 0"
    ),
    Kind.REST_418: About("request", (*_ASKED, "delay_ms"), "418: the address is banned for `delay_ms`"),
    Kind.REST_403: About("request", _ASKED, "403 with a page of a firewall, not executed"),
    Kind.REST_SLOW: About("request", (*_ASKED, "delay_ms"), "the request is taken up so late"),
    Kind.CLOCK_SKEW: About("request", ("delay_ms",), "the server's clock is ahead by `delay_ms`, or behind"),
    Kind.MAINTENANCE: About("request", (), "connections end with serverShutdown, none can be opened, REST answers 503"),
    Kind.STALE_READ: About(
        "request", (*_ASKED, "delay_ms"), "an account query is answered with what was true `delay_ms` ago"
    ),
    Kind.READ_OVERTAKEN: About(
        "request",
        (*_ASKED, "delay_ms"),
        "an account query is answered with what was true when it came, so late, or when the fault is taken back",
    ),
    Kind.ORDER_LOST: About("trade", _ASKED, "executed, and the connection breaks instead of an answer"),
    Kind.ORDER_UNKNOWN: About(
        "trade", (*_ASKED, "code"), 'executed, answered 503 "Unknown error", or 408 with `code` -1007'
    ),
    Kind.ORDER_DROPPED: About("trade", (*_ASKED, "code"), "the same answers, not executed"),
    Kind.ORDER_LATE: About(
        "trade", (*_ASKED, "code", "delay_ms"), "the same answers, executed so late (within its recvWindow)"
    ),
    Kind.ORDER_REJECTED: About("trade", (*_ASKED, "code"), "refused with `code` (-1008 unless given), not executed"),
    Kind.ORDER_SLOW: About("trade", (*_ASKED, "delay_ms"), "executed at once, answered so late"),
    Kind.EVENT_LOST: About("event", _TOLD, "an event of the user stream never comes"),
    Kind.EVENT_LATE: About("event", (*_TOLD, "delay_ms"), "it comes so late, others overtake it"),
    Kind.EVENT_TWICE: About("event", (*_TOLD, "delay_ms"), "it comes again so much later"),
    Kind.EVENT_SWAPPED: About("event", _TOLD, "it comes after the one that follows it, or after half a second"),
    Kind.EVENT_GARBLED: About("event", _TOLD, "its frame holds half of the JSON"),
    Kind.KEY_EXPIRED: About("key", _AGAIN, "listen keys end, with listenKeyExpired"),
    Kind.KEY_LOST: About("key", _AGAIN, "listen keys end without a word; sockets stay open, silent"),
    Kind.MARKET_SHORT: About(
        "engine", ("symbols", "share", "size"), "`size` of a market order fills, the rest expires (er 9)"
    ),
    Kind.FILL_LATE: About(
        "engine", ("symbols", "share", "delay_ms"), "a market order is accepted and reaches the book so late"
    ),
    Kind.TRIGGER_STUCK: About(
        "engine", ("symbols", "share"), "conditional orders stay in TRIGGERING, a cancel answers -2011"
    ),
    Kind.ADL: About("engine", ("symbols", "size", *_AGAIN), "`size` of each position is deleveraged"),
    Kind.PRICE_GAP: About("market", ("symbols", "size"), "all prices stand higher by `size` (0.1: 10 %), or lower"),
    Kind.MARK_GAP: About("market", ("symbols", "size"), "marks stand apart from last prices by `size`"),
    Kind.HALT: About("market", ("symbols",), "TRADING_HALT: no bars, no trades, no new orders"),
    Kind.DELIST: About("market", ("symbols",), "the contract ends at `from_ms`: SETTLING, positions are settled"),
    Kind.FUNDING_HOURS: About("market", ("symbols", "size"), "funding is settled every `size` hours (1, 2, 4, 8)"),
    Kind.COARSE_RULES: About("market", ("symbols", "size"), "tick, step and least notional are `size` times as large"),
}
_SIZES: Final[Mapping[Kind, float]] = {Kind.MARKET_SHORT: 0.5, Kind.FUNDING_HOURS: 1.0, Kind.COARSE_RULES: 10.0}
_READS = (Kind.STALE_READ, Kind.READ_OVERTAKEN)
# What is looked up together, in the order of the plan; every other kind is looked up alone.
_TOGETHER: Final[Mapping[Kind, str]] = {
    kind: about.layer
    for kind, about in KINDS.items()
    if about.layer in ("trade", "event", "market") or (about.layer == "request" and "path" in about.takes)
}


class Request(NamedTuple):
    """A request as faults see it."""

    path: str
    leg: str
    symbol: str


@dataclass(frozen=True)
class Fault:
    """Active while ``from_ms <= now < to_ms``; ``share`` of the occasions, for ``symbols`` (all when empty).

    ``after``: so many occasions pass first; ``times``: it strikes at most so often (0: any). ``every_ms``: what happens
    once happens again after so long (0: not). ``path``: the beginning of a path, ``leg``: what the request is for, as
    ``LEGS`` names it; empty: any. ``event``: the ``e`` of a user event.
    """

    kind: Kind
    from_ms: int
    to_ms: int = FOREVER_MS
    share: float = 1.0
    delay_ms: int = 3_000
    symbols: tuple[str, ...] = ()
    category: str = "market"
    path: str = ""
    code: int = 0
    leg: str = ""
    event: str = ""
    size: float = math.nan  # NaN: what is usual for the kind, a half for market_short, else 1
    after: int = 0
    times: int = 0
    every_ms: int = 0

    def __post_init__(self) -> None:
        if math.isnan(self.size):
            object.__setattr__(self, "size", _SIZES.get(self.kind, 1.0))

    @classmethod
    def from_json(cls, body: Mapping[str, object], now_ms: int = 0) -> "Fault":
        """A fault in the words of JSON; times may be given from ``now_ms`` on, as ``in_ms`` and ``for_ms``.

        ``InvalidInputError`` names what is wrong, also a field that the kind does not heed.
        """
        body = dict(body)
        if body.get("kind") not in set(Kind):
            raise InvalidInputError("kind", body.get("kind"), "one of " + ", ".join(Kind))
        kind = Kind(str(body.pop("kind")))
        wait = _whole("in_ms", body.pop("in_ms", 0), 0)
        body.setdefault("from_ms", now_ms + wait)
        if "for_ms" in body:
            body["to_ms"] = _whole("from_ms", body["from_ms"], 0) + _whole("for_ms", body.pop("for_ms"), 0)
        known = {f.name: f.default for f in fields(cls)} | {"size": _SIZES.get(kind, 1.0), "from_ms": now_ms}
        for name, value in body.items():
            takes = ("from_ms", "to_ms", *KINDS[kind].takes)
            default = known.get(name)
            if name not in takes and value not in (default, list(default) if isinstance(default, tuple) else default):
                raise InvalidInputError(name, value, f"nothing but {', '.join(takes)} for {kind}")
        found = {name: body.get(name, default) for name, default in known.items() if name != "kind"}
        for name in ("from_ms", "to_ms", "after", "times", "every_ms"):
            found[name] = _whole(name, found[name], 0)
        found["delay_ms"] = _whole("delay_ms", found["delay_ms"], 0 if kind is not Kind.CLOCK_SKEW else -FOREVER_MS)
        found["code"] = _whole("code", found["code"], -100_000, 0)
        for name, least, most in (("share", 0.0, 1.0), ("size", -0.99, 100.0)):
            value = found[name]
            if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
                raise InvalidInputError(name, value, f"a number between {least:g} and {most:g}")
            found[name] = float(value)
        symbols = found["symbols"]
        if not isinstance(symbols, list | tuple) or not all(isinstance(s, str) for s in symbols):
            raise InvalidInputError("symbols", symbols, "a list of symbols")
        found["symbols"] = tuple(symbols)
        for name, allowed in (("category", CATEGORIES), ("leg", ("", *LEGS))):
            if found[name] not in allowed:
                raise InvalidInputError(name, found[name], "one of " + ", ".join(filter(None, allowed)))
        for name in ("path", "event"):
            if not isinstance(found[name], str):
                raise InvalidInputError(name, found[name], "a text")
        if kind is Kind.FUNDING_HOURS and found["size"] not in (1, 2, 4, 8):
            raise InvalidInputError("size", found["size"], "1, 2, 4 or 8 hours")
        if kind is Kind.COARSE_RULES and found["size"] not in (2, 5, 10, 100):
            raise InvalidInputError("size", found["size"], "2, 5, 10 or 100")
        if kind in (Kind.MARKET_SHORT, Kind.ADL) and not 0 <= found["size"] <= 1:  # type: ignore[operator]
            raise InvalidInputError("size", found["size"], "a part between 0 and 1")
        return cls(kind, **found)  # type: ignore[arg-type]

    def of(self, symbol: str) -> bool:
        return not self.symbols or symbol in self.symbols

    def active(self, now_ms: int) -> bool:
        return self.from_ms <= now_ms < self.to_ms


def _whole(name: str, value: object, least: int, most: int = FOREVER_MS) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidInputError(name, value, f"a whole number between {least} and {most}")
    return value


class Faults:
    """The schedule. Whether an occasion is hit depends on (seed, fault, occasion) alone.

    Occasions of requests and events are counted; those of the engine are named by symbol and time or order, so that a
    replay of the account meets the same ones.
    """

    def __init__(self, seed: int, plan: Iterable[Fault] = ()) -> None:
        self._seed = seed
        self.plan: list[Fault] = []
        self._seen: list[int] = []
        self._fired: list[int] = []
        self._stuck: dict[tuple[int, str], int] = {}
        self._groups: dict[str, list[int]] = {}
        self._watchers: list[Callable[[], None]] = []
        for fault in plan:
            self.add(fault)

    def watch(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever the faults of the market are others."""
        self._watchers.append(changed)

    def add(self, fault: Fault) -> None:
        self.plan.append(fault)
        self._seen.append(0)
        self._fired.append(0)
        self._index(len(self.plan) - 1)
        if KINDS[fault.kind].layer == "market":
            self._changed()

    def clear(self) -> None:
        self.restore([])

    def state(self) -> list[dict[str, Any]]:
        """The plan with how often each fault was asked and has struck."""
        rows = zip(self.plan, self._seen, self._fired, strict=True)
        return [asdict(fault) | {"seen": seen, "fired": fired} for fault, seen, fired in rows]

    def restore(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take over a former ``state``, numbers and counts included; ``InvalidInputError``, ``KeyError``."""
        found = [dict(row) for row in rows]
        counts = [(int(row.pop("seen")), int(row.pop("fired"))) for row in found]
        self.plan = [Fault.from_json(row) for row in found]
        self._seen, self._fired = [seen for seen, _ in counts], [fired for _, fired in counts]
        self._stuck.clear()
        self._groups.clear()
        for number in range(len(self.plan)):
            self._index(number)
        self._changed()

    def shown(self, now_ms: int) -> dict[str, Any]:
        """What is possible, what is planned and whether it is active, how often each has struck."""
        rows = [
            {"number": number, "active": fault.active(now_ms), **row}
            for number, (fault, row) in enumerate(zip(self.plan, self.state(), strict=True))
        ]
        for row, fault in zip(rows, self.plan, strict=True):
            if KINDS[fault.kind].layer == "market":
                row["fired"] = int(fault.from_ms <= now_ms)
        return {"kinds": {str(kind): about._asdict() for kind, about in KINDS.items()}, "legs": LEGS, "plan": rows}

    # --- sockets and pushes ---

    def due(self, kinds: Iterable[Kind], now_ms: int) -> list[Fault]:
        """Faults of ``kinds`` that are to happen now: once each, and again after ``every_ms`` while they last."""
        found = []
        for kind in kinds:
            for number, fault in self._live(str(kind), now_ms):
                passed = self._seen[number]
                if now_ms < fault.from_ms + passed * fault.every_ms or (passed and not fault.every_ms):
                    continue
                # what was missed while nobody looked is not made up for
                self._seen[number] = (now_ms - fault.from_ms) // fault.every_ms + 1 if fault.every_ms else 1
                if self._draw(number, "due", self._seen[number]) < fault.share:
                    self._fired[number] += 1
                    found.append(fault)
        return found

    def silent(self, category: str, now_ms: int) -> bool:
        return self._window(Kind.SILENT_SOCKET, now_ms, category) is not None

    def half_open(self, category: str, now_ms: int) -> bool:
        return self._window(Kind.HALF_OPEN, now_ms, category) is not None

    def truncated(self, category: str, now_ms: int) -> bool:
        """Whether the next write of a connection of ``category`` ends in the middle of a frame."""
        return any(
            fault.category == category and self._strikes(number, fault, now_ms)
            for number, fault in self._live(Kind.TRUNCATED_FRAME, now_ms)
        )

    def close_delay(self, symbol: str, close_ms: int) -> int | None:
        """Delay of the closing push of the candle that ends at ``close_ms``; 0 in time, None never."""
        delay = 0
        for number, fault in (*self._live(Kind.MISSING_CLOSE, close_ms), *self._live(Kind.LATE_CLOSE, close_ms)):
            if self._hit(number, fault, symbol, close_ms, close_ms):
                self._fired[number] += 1
                if fault.kind is Kind.MISSING_CLOSE:
                    return None
                delay = max(delay, fault.delay_ms)
        return delay

    # --- requests and events ---

    def down(self, now_ms: int) -> bool:
        return self._window(Kind.MAINTENANCE, now_ms) is not None

    def skew(self, now_ms: int) -> int:
        """How far the server's clock is ahead of the market's."""
        fault = self._window(Kind.CLOCK_SKEW, now_ms)
        return 0 if fault is None else fault.delay_ms

    def request(self, request: Request, now_ms: int) -> Fault | None:
        """What befalls a request before it is looked at, the first fault that strikes."""
        return self._asked("request", request, now_ms)

    def trading(self, request: Request, now_ms: int) -> Fault | None:
        """What befalls a trading request and its answer."""
        return self._asked("trade", request, now_ms)

    def longest_lag(self, now_ms: int) -> int:
        """How far back an account may be asked for by a stale read; 0 when the plan has none."""
        found = (fault.delay_ms for _, fault in self._live("request", now_ms) if fault.kind is Kind.STALE_READ)
        return max(found, default=0)

    def told(self, event: str, symbol: str, now_ms: int) -> Fault | None:
        """What befalls an event of the user stream."""
        for number, fault in self._live("event", now_ms):
            if fault.event in ("", event) and fault.of(symbol) and self._strikes(number, fault, now_ms):
                return fault
        return None

    # --- the engine: pure in their arguments ---

    def stuck(self, symbol: str, ts_ms: int) -> bool:
        """Whether triggers of ``symbol`` hang at ``ts_ms``; a share below 1 draws anew for every minute."""
        minute, found = ts_ms // MINUTE_MS, False
        for number, fault in self._live(Kind.TRIGGER_STUCK, ts_ms):
            if self._hit(number, fault, symbol, ts_ms, minute):
                found = True
                if self._stuck.get((number, symbol)) != minute:  # it counts once a minute
                    self._stuck[number, symbol] = minute
                    self._fired[number] += 1
        return found

    def filled_share(self, symbol: str, ts_ms: int, order_id: int) -> float:
        """The part of a market order that is filled."""
        fault = self._engine(Kind.MARKET_SHORT, symbol, ts_ms, order_id)
        return 1.0 if fault is None else fault.size

    def fill_delay(self, symbol: str, ts_ms: int, order_id: int) -> int:
        """How late a market order reaches the book."""
        fault = self._engine(Kind.FILL_LATE, symbol, ts_ms, order_id)
        return 0 if fault is None else fault.delay_ms

    # --- how ---

    def _index(self, number: int) -> None:
        kind = self.plan[number].kind
        self._groups.setdefault(_TOGETHER.get(kind, kind), []).append(number)

    def _live(self, group: str, now_ms: int) -> list[tuple[int, Fault]]:
        """Faults of a group that may still strike; what is over is not looked at again (time does not go back here)."""
        numbers = self._groups.get(group)
        if not numbers:
            return []
        over = [number for number in numbers if self._over(number, now_ms)]
        for number in over:
            numbers.remove(number)
        return [(number, self.plan[number]) for number in numbers]

    def _over(self, number: int, now_ms: int) -> bool:
        fault = self.plan[number]
        if fault.times and self._fired[number] >= fault.times:
            return True
        if KINDS[fault.kind].takes[-3:] == _AGAIN and not fault.every_ms:  # once, however late somebody looks
            return self._seen[number] > 0
        return now_ms >= fault.to_ms

    def _asked(self, group: str, request: Request, now_ms: int) -> Fault | None:
        for number, fault in self._live(group, now_ms):
            if fault.kind in _READS and request.leg != "query":
                continue
            if (
                request.path.startswith(fault.path)
                and fault.leg in ("", request.leg)
                and fault.of(request.symbol)
                and self._strikes(number, fault, now_ms)
            ):
                return fault
        return None

    def _strikes(self, number: int, fault: Fault, now_ms: int) -> bool:
        """Count an occasion that the fault is about, and decide it."""
        if not fault.active(now_ms):
            return False
        self._seen[number] += 1
        if self._seen[number] <= fault.after or (fault.times and self._fired[number] >= fault.times):
            return False
        if self._draw(number, "occasion", self._seen[number]) >= fault.share:
            return False
        self._fired[number] += 1
        return True

    def _window(self, kind: Kind, now_ms: int, category: str = "market") -> Fault | None:
        """The fault of ``kind`` that lasts now."""
        for number, fault in self._live(kind, now_ms):
            if fault.category == category and fault.active(now_ms):
                self._fired[number] += 1
                return fault
        return None

    def _engine(self, kind: Kind, symbol: str, ts_ms: int, order_id: int) -> Fault | None:
        for number, fault in self._live(kind, ts_ms):
            if self._hit(number, fault, symbol, ts_ms, order_id):
                self._fired[number] += 1
                return fault
        return None

    def _hit(self, number: int, fault: Fault, symbol: str, ts_ms: int, occasion: int) -> bool:
        return fault.active(ts_ms) and fault.of(symbol) and self._draw(number, symbol, occasion) < fault.share

    def _draw(self, number: int, name: str, occasion: int) -> float:
        digest = hashlib.sha256(f"{self._seed}:{number}:{name}:{occasion}".encode()).digest()
        return int.from_bytes(digest[:7], "big") / 2.0**56

    def _changed(self) -> None:
        for changed in self._watchers:
            changed()


def leg_of(method: str, path: str, params: Mapping[str, str]) -> str:
    """What a request is for, in the words of ``LEGS``."""
    name = path.rpartition("/v")[2].partition("/")[2]
    if name == "listenKey":
        return "key"
    if name in ("order", "batchOrders", "order/test"):
        if method == "POST":
            return "exit" if params.get("reduceOnly", "").lower() == "true" else "entry"
        return {"PUT": "amend", "DELETE": "cancel"}.get(method, "query")
    if name == "algoOrder" and method == "POST":
        return "target" if params.get("type", "").startswith("TAKE") else "stop"
    if method == "DELETE":
        return "cancel"
    if method == "POST":
        return "setup"
    return "query" if "timestamp" in params else "market"
