"""The shell of the venue: requests from HTTP, seconds from the pump, events to sockets, state to disk."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from packages.common.errors import InvalidInputError
from packages.common.time import MINUTE_MS, monotonic_ms, wall_ms
from services.emulator.audit import Audit
from services.emulator.clock import MarketClock
from services.emulator.faults import Fault, Faults, Kind, Request, leg_of
from services.emulator.hub import Hub
from services.emulator.keys import RECV_WINDOW_MS, KeyRing, read
from services.emulator.limits import Window
from services.emulator.params import ApiError
from services.emulator.store import Asked, VenueStore
from services.emulator.venue.operations import OPERATIONS, Operation, perform, word
from services.emulator.venue.venue import Venue

JOURNAL_LINES = 500  # requests between snapshots, more when these are costly
SNAPSHOT_WALL_MS = 10_000.0  # so much of our time, while prices can change something
SNAPSHOT_PART = 0.02  # of our time may go into snapshots: a long account is written more rarely
SWAPPED_S = 0.5  # how long an event waits for the one that is to overtake it
ORDERS_10S, ORDERS_1M = 300, 1_200
RESTRICTIONS = "/sapi/v1/account/apiRestrictions"
_UNKNOWN = "Unknown error, please check your request or try again later."


class Asking(NamedTuple):
    """A request with its parameters, of query and body, and the bytes that were signed; ``seen``: as faults see it."""

    method: str
    path: str
    address: str
    key: str | None
    params: dict[str, str]
    payload: bytes
    seen: Request

    @classmethod
    async def of(cls, request: web.Request) -> "Asking":
        body = (await request.read()).decode(errors="replace")
        params, payload = read(request.raw_path.partition("?")[2], body)
        seen = Request(request.path, leg_of(request.method, request.path, params), params.get("symbol", ""))
        header, address = request.headers.get("X-MBX-APIKEY"), request.remote or ""
        return cls(request.method, request.path, address, header, params, payload, seen)


class Trading:
    """Signed requests and the user stream. ``life_s``: seconds of ours that a listen key lives without renewal."""

    def __init__(
        self,
        venue: Venue,
        clock: MarketClock,
        hub: Hub,
        faults: Faults,
        keys: KeyRing,
        store: VenueStore | None,
        audit: Audit,
        *,
        life_s: float,
        wall_stamps: bool,
    ) -> None:
        self.venue, self._clock, self._hub, self._faults = venue, clock, hub, faults
        self.audit = audit
        self._keys, self._store, self._wall_stamps = keys, store, wall_stamps
        self._life_ms = life_s * 1e3
        self._counters: dict[str, tuple[Window, Window]] = {}
        self._renewed: dict[str, float] = {}
        self._saved_ms = monotonic_ms()
        self._again_ms = 0.0
        self._held: list[tuple[str, dict[str, Any]]] = []
        self._timers: set[asyncio.TimerHandle] = set()
        self._swapped: list[tuple[str, bytes]] = []
        if store is not None:
            store.snapshot(self.state())

    # --- requests ---

    def operation(self, asked: Asking) -> Operation | None:
        if (asked.method, asked.path) == ("GET", RESTRICTIONS):
            return Operation(lambda _: None)
        return OPERATIONS.get((asked.method, asked.path)) if asked.path.startswith("/") else None

    def signed(self, asked: Asking) -> None:
        """Refuse a request about the market that only holders of a key may make (``public_brackets``)."""
        if self.venue.switches.public_brackets and "signature" not in asked.params:
            return
        key = self._keys.holder(asked.key, asked.address, trading=False)
        self._keys.check(key, asked.params, asked.payload, self._clocks())

    def _clocks(self) -> list[int]:
        """What counts as the present."""
        now_ms = self._clock.now_ms()
        skew_ms = self._faults.skew(now_ms)
        return [now_ms + skew_ms, wall_ms() + skew_ms] if self._wall_stamps else [now_ms + skew_ms]

    async def answer(
        self, request: web.Request, asked: Asking, operation: Operation, headers: dict[str, str], lag_ms: int
    ) -> bytes:
        """The body of the answer; ``ApiError`` when refused, by us or by a fault."""
        trading = operation.security == "trade"
        key = self._keys.holder(asked.key, asked.address, trading=trading)
        if operation.security != "key":
            self._keys.check(key, asked.params, asked.payload, self._clocks())
        if asked.path == RESTRICTIONS:
            return orjson.dumps(_restrictions(key.trade, key.withdraw))
        fault = self._faults.trading(asked.seen, self._clock.now_ms()) if trading else None
        if fault is not None and fault.kind is Kind.ORDER_REJECTED:
            raise _refused(fault.code or -1008)
        if fault is not None and fault.kind is Kind.ORDER_DROPPED:
            raise _unknown(fault)
        if operation.orders:
            self._count(key.account, operation.orders, headers)
        kept = {k: v for k, v in asked.params.items() if k not in ("signature", "timestamp", "recvWindow")}
        if fault is not None and fault.kind is Kind.ORDER_LATE:
            self._later(self._late_s(fault, asked), self._perform_late, key.account, asked, kept)
            raise _unknown(fault)
        answer = self.perform(key.account, asked.method, asked.path, kept, changes=operation.changes, lag_ms=lag_ms)
        if asked.path.endswith("/listenKey"):
            self._renewed[key.account] = monotonic_ms()
        if fault is not None:
            await self._spoil(request, fault)
        return orjson.dumps(answer)

    def _late_s(self, fault: Fault, asked: Asking) -> float:
        """Seconds of ours until a late request is executed: never after its recvWindow, as the engine sees to."""
        window = int(asked.params.get("recvWindow") or RECV_WINDOW_MS)
        left = int(asked.params["timestamp"]) + window - self._clock.now_ms()
        return self._clock.wall_s(max(0, min(fault.delay_ms, left - 1)))

    def _perform_late(self, account: str, asked: Asking, params: dict[str, str]) -> None:
        """What nobody waits for any more; a refusal nobody hears."""
        with contextlib.suppress(ApiError):
            self.perform(account, asked.method, asked.path, params, changes=True)

    def _later(self, wait_s: float, do: Callable[..., None], *arguments: Any) -> None:
        """Call ``do`` unless we are closed before."""

        def done() -> None:
            self._timers.discard(timer)
            do(*arguments)

        timer = asyncio.get_running_loop().call_later(wait_s, done)
        self._timers.add(timer)

    def perform(
        self, account: str, method: str, path: str, params: dict[str, str], *, changes: bool, lag_ms: int = 0
    ) -> Any:
        """Do it, keep it, tell of it. ``lag_ms``: a query is answered with the account of so long ago."""
        now_ms = max(self._clock.now_ms(), self.venue.now_ms)
        try:
            answer = perform(self.venue, account, method, path, params, now_ms, lag_ms=lag_ms)
        except ApiError:
            self._tell()  # what time alone brought about on the way
            raise
        if changes and self._store is not None:
            self._store.append(Asked(now_ms, account, method, path, params))
            if self._store.lines >= JOURNAL_LINES and monotonic_ms() >= self._again_ms:
                self._snapshot()
        self._tell(late=self._answer_first(now_ms))
        return answer

    def _answer_first(self, now_ms: int) -> bool:
        chosen = self.venue.switches.stream_and_answer
        if chosen == "random":
            return next(iter(self.venue.desks.values())).ledger.draw("answer", now_ms) < 0.5
        return chosen == "answer_first"

    def _count(self, account: str, orders: int, headers: dict[str, str]) -> None:
        """Order counters of the account (§7.2); -1015 beyond them."""
        short, long = self._counters.setdefault(account, (Window(ORDERS_10S, 10_000), Window(ORDERS_1M, MINUTE_MS)))
        now = self._clock.limit_ms()
        inside = [short.take(orders, now), long.take(1, now)]
        headers["X-MBX-ORDER-COUNT-10S"], headers["X-MBX-ORDER-COUNT-1M"] = str(short.used), str(long.used)
        if not all(inside):
            limit, span = (ORDERS_10S, "10 SECOND") if not inside[0] else (ORDERS_1M, "1 MINUTE")
            raise ApiError(-1015, f"Too many new orders; current limit is {limit} orders per {span}.", 429)

    async def _spoil(self, request: web.Request, fault: Fault) -> None:
        """It was executed; what goes wrong is the answer."""
        if fault.kind is Kind.ORDER_SLOW:
            await self._clock.pause(fault.delay_ms)
        elif fault.kind is Kind.ORDER_UNKNOWN:
            raise _unknown(fault)
        elif fault.kind is Kind.ORDER_LOST and request.transport is not None:
            request.transport.abort()

    # --- time ---

    def tick(self, now_ms: int) -> None:
        """Live up to ``now_ms`` and queue what happened; the pump flushes."""
        self.venue.advance(now_ms)
        self._expire(now_ms)
        if self._faults.plan:
            self._strike(now_ms)
        self._queue()
        now = monotonic_ms()
        if self._store is not None and now - self._saved_ms > SNAPSHOT_WALL_MS and now >= self._again_ms:
            self._saved_ms = now
            if any(desk.active() for desk in self.venue.desks.values()):
                self._snapshot()

    def _strike(self, now_ms: int) -> None:
        """Faults that befall accounts by the clock."""
        for fault in self._faults.due((Kind.KEY_EXPIRED, Kind.KEY_LOST), now_ms):
            for name, desk in self.venue.desks.items():
                if desk.ledger.account.listen_open:
                    self._end_key(name, now_ms, aloud=fault.kind is Kind.KEY_EXPIRED)
        for fault in self._faults.due((Kind.ADL,), now_ms):
            for name, desk in self.venue.desks.items():
                for position in desk.ledger.held():
                    if fault.of(position.symbol):
                        params = {"symbol": position.symbol, "part": f"{fault.size:.8f}"}
                        self.perform(name, "HAND", "adl", params, changes=True)

    def _end_key(self, name: str, now_ms: int, *, aloud: bool) -> None:
        key = self.venue.listen_key(name)
        self._queue()
        if aloud:
            self._send(key, {"e": "listenKeyExpired", "E": now_ms, "listenKey": key}, now_ms)
        self.perform(name, "EXPIRE", "listenKey", {}, changes=True)

    def _expire(self, now_ms: int) -> None:
        """Listen keys that nobody renewed end, with a last word to whoever listens."""
        for name, desk in self.venue.desks.items():
            if not desk.ledger.account.listen_open:
                continue
            now = monotonic_ms()
            if now - self._renewed.setdefault(name, now) < self._life_ms:
                continue
            self._end_key(name, now_ms, aloud=True)

    # --- events ---

    def _tell(self, *, late: bool = False) -> None:
        """Send what happened, now or just after the answer that is being written."""
        if late:
            self._held += self._taken()
            self._later(0.002, self._tell)
            return
        self._queue()
        self._hub.flush()

    def _queue(self) -> None:
        """Queue all that happened at whoever listens; held events go first, so that none overtakes another."""
        events, self._held = self._held + self._taken(), []
        for key, event in events:
            self._send(key, event, int(event["E"]))

    def _remember(self) -> None:
        """Keep what stale reads will show."""
        lag_ms = self._faults.longest_lag(self._clock.now_ms())
        if lag_ms:
            self.venue.remember(lag_ms)

    def _taken(self) -> list[tuple[str, dict[str, Any]]]:
        """New events with the listen key that stands now; those that nobody can hear are gone."""
        happened = self.venue.take_events()
        if happened:
            self._remember()
        for name, event in happened:
            self.audit.hear(name, event)
        return [
            (self.venue.listen_key(name), event)
            for name, event in happened
            if self.venue.desks[name].ledger.account.listen_open
        ]

    def _send(self, key: str, event: dict[str, Any], now_ms: int) -> None:
        if self._faults.silent("private", now_ms):
            return
        text = orjson.dumps(event)
        fault = self._faults.told(event["e"], _symbol_of(event), now_ms) if self._faults.plan else None
        match fault.kind if fault is not None else None:
            case Kind.EVENT_LOST:
                return
            case Kind.EVENT_SWAPPED:
                self._swapped.append((key, text))
                self._later(SWAPPED_S, self._unswap)
                return
            case Kind.EVENT_LATE:
                assert fault is not None
                self._later(self._clock.wall_s(fault.delay_ms), self._send_now, key, text)
                return
            case Kind.EVENT_TWICE:
                assert fault is not None
                self._later(self._clock.wall_s(fault.delay_ms), self._send_now, key, text)
            case Kind.EVENT_GARBLED:
                text = text[: len(text) // 2]
        self._hub.send_user(key, text)
        for swapped in self._swapped:
            self._hub.send_user(*swapped)
        self._swapped.clear()

    def _send_now(self, key: str, text: bytes) -> None:
        self._hub.send_user(key, text)
        self._hub.flush()

    def _unswap(self) -> None:
        """Nothing followed in time."""
        for swapped in self._swapped:
            self._hub.send_user(*swapped)
        self._swapped.clear()
        self._hub.flush()

    # --- state ---

    def state(self) -> dict[str, Any]:
        """The venue, its audit, the faults that are planned, and the market time it is of."""
        more = {"market_ms": self._clock.now_ms(), "faults": self._faults.state(), "audit": self.audit.state()}
        return self.venue.state() | more

    def hand(self, body: Mapping[str, Any]) -> Any:
        """Somebody else's hand on the account (see ``admin``); ``ApiError`` when the exchange refuses it."""
        account = body.get("account", next(iter(self.venue.desks)))
        if account not in self.venue.desks:
            raise InvalidInputError("account", account, "one of " + ", ".join(self.venue.desks))
        if "transfer" in body:
            return self.perform(account, "HAND", "transfer", {"amount": str(body["transfer"])}, changes=True)
        if "adl" in body:
            params = {"symbol": str(body["adl"]), "part": str(body.get("part", 1))}
            return self.perform(account, "HAND", "adl", params, changes=True)
        known, params = (body.get("method"), body.get("path")), body.get("params", {})
        if known not in OPERATIONS or known[0] in ("HAND", "EXPIRE") or not isinstance(params, dict):
            raise InvalidInputError("path", known, "method, path and params of a trading request")
        words = {str(name): word(value) for name, value in params.items()}
        return self.perform(account, *known, words, changes=OPERATIONS[known].changes)

    def audited(self, *, rows: bool = True) -> dict[str, Any]:
        """What the accounts went through up to now (see ``audit``)."""
        self.venue.advance(self._clock.now_ms())
        self._tell()
        return self.audit.report(self.venue, rows=rows)

    def rewind(self, state: Mapping[str, Any]) -> None:
        """Become what ``state`` says, time included; ``InvalidInputError`` (and no change) when it is none."""
        before = self.state()
        try:
            last = adopt(self.venue, self._faults, self.audit, state, [])
        except InvalidInputError:
            adopt(self.venue, self._faults, self.audit, before, [])
            raise
        self._clock.set_to(last)
        for timer in self._timers:  # what was under way belongs to a time that is none any more
            timer.cancel()
        self._timers.clear()
        self._swapped.clear()
        self._held, now = [], monotonic_ms()
        self._renewed = dict.fromkeys(self.venue.desks, now)
        self.changed()

    def changed(self) -> None:
        """Faults or switches are other ones from now on: a replay must not cross this moment."""
        self._remember()
        if self._store is not None:
            self._snapshot()

    def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._store is not None:
            self._snapshot()
            self._store.close()

    def _snapshot(self) -> None:
        assert self._store is not None
        self._saved_ms = monotonic_ms()
        self._store.snapshot(self.state())
        done = monotonic_ms()
        self._again_ms = done + (done - self._saved_ms) / SNAPSHOT_PART


def adopt(venue: Venue, faults: Faults, audit: Audit, state: Mapping[str, Any], asked: list[Asked]) -> int:
    """Restore ``state`` and repeat the requests after it; returns the last moment they speak of.

    The audit stamps what it hears of the repetition with the present: when it happened nobody wrote down.
    """
    try:
        venue.restore(state)
        audit.restore(state.get("audit", {}))
        faults.restore(state["faults"])
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise InvalidInputError("state", type(error).__name__, "the state of an emulated exchange") from error
    last = max(venue.now_ms, int(state["market_ms"]))
    for row in asked:
        last = max(last, row.now_ms)
        try:
            perform(venue, row.account, row.method, row.path, row.params, row.now_ms)
        except (ApiError, KeyError):
            continue  # an account that is no longer configured
    for name, event in venue.take_events():
        audit.hear(name, event)
    return last


def _symbol_of(event: Mapping[str, Any]) -> str:
    """The symbol of a user event, empty when it has none or several."""
    if event["e"] == "ACCOUNT_UPDATE":
        found = {item["s"] for item in event["a"]["P"]}
        return found.pop() if len(found) == 1 else ""
    return str(event.get("o", event).get("s", ""))


def _refused(code: int) -> ApiError:
    """A definite no by a fault; -1008 is the one that comes as 503."""
    if code == -1008:
        return ApiError(-1008, "Request throttled by system-level protection. Please try again.", 503)
    return ApiError(code, "Rejected by a fault of the emulated exchange.")


def _unknown(fault: Fault) -> ApiError:
    """Nobody can tell from the answer whether it was executed (§7.3)."""
    if fault.code == -1007:
        message = "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
        return ApiError(-1007, message, 408)
    return ApiError(0, _UNKNOWN, 503)


def _restrictions(trade: bool, withdraw: bool) -> dict[str, Any]:
    """What a key may do; asked of the spot host by those who refuse keys that can withdraw."""
    return {
        "ipRestrict": False,
        "createTime": 1_600_000_000_000,
        "enableReading": True,
        "enableFutures": trade,
        "enableWithdrawals": withdraw,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableSpotAndMarginTrading": False,
        "enableVanillaOptions": False,
        "permitsUniversalTransfer": False,
    }
