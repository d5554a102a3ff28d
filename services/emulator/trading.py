"""The shell of the venue: requests from HTTP, seconds from the pump, events to sockets, state to disk."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson
from aiohttp import web

from packages.common.errors import InvalidInputError
from packages.common.time import MINUTE_MS, monotonic_ms, wall_ms
from services.emulator.audit import Audit
from services.emulator.clock import MarketClock
from services.emulator.faults import Fault, Faults, Kind
from services.emulator.hub import Hub
from services.emulator.keys import KeyRing, read
from services.emulator.limits import Window
from services.emulator.params import ApiError
from services.emulator.store import Asked, VenueStore
from services.emulator.venue.operations import OPERATIONS, Operation, perform
from services.emulator.venue.venue import Venue

JOURNAL_LINES = 500  # as many are replayed at the most, and then
SNAPSHOT_WALL_MS = 10_000.0  # so much of our time, while prices can change something
ORDERS_10S, ORDERS_1M = 300, 1_200
RESTRICTIONS = "/sapi/v1/account/apiRestrictions"
_UNKNOWN = "Unknown error, please check your request or try again later."


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
        self._held: list[tuple[str, dict[str, Any]]] = []
        self._timer: asyncio.TimerHandle | None = None
        if store is not None:
            store.snapshot(self.state())

    # --- requests ---

    def operation(self, request: web.Request) -> Operation | None:
        if request.path == RESTRICTIONS and request.method == "GET":
            return Operation(lambda _: None)
        return OPERATIONS.get((request.method, request.path)) if request.path.startswith("/") else None

    async def signed(self, request: web.Request) -> None:
        """Refuse a request about the market that only holders of a key may make (``public_brackets``)."""
        params, payload = read(request.raw_path.partition("?")[2], (await request.read()).decode(errors="replace"))
        if self.venue.switches.public_brackets and "signature" not in params:
            return
        key = self._keys.holder(request.headers.get("X-MBX-APIKEY"), request.remote or "", trading=False)
        self._keys.check(key, params, payload, self._clocks())

    def _clocks(self) -> list[int]:
        """What counts as the present."""
        return [self._clock.now_ms(), wall_ms()] if self._wall_stamps else [self._clock.now_ms()]

    async def answer(self, request: web.Request, operation: Operation, headers: dict[str, str]) -> bytes:
        """The body of the answer; ``ApiError`` when refused, by us or by a fault."""
        body = (await request.read()).decode(errors="replace")
        params, payload = read(request.raw_path.partition("?")[2], body)
        now_ms = self._clock.now_ms()
        trading = operation.security == "trade"
        key = self._keys.holder(request.headers.get("X-MBX-APIKEY"), request.remote or "", trading=trading)
        if operation.security != "key":
            self._keys.check(key, params, payload, self._clocks())
        if request.path == RESTRICTIONS:
            return orjson.dumps(_restrictions(key.trade, key.withdraw))
        fault = self._faults.trading(request.path, params.get("symbol", ""), now_ms) if trading else None
        if fault is not None and fault.kind is Kind.ORDER_REJECTED:
            raise _refused(fault.code or -1008)
        if fault is not None and fault.kind is Kind.ORDER_DROPPED:
            raise _unknown(fault)
        if operation.orders:
            self._count(key.account, operation.orders, headers)
        kept = {k: v for k, v in params.items() if k not in ("signature", "timestamp", "recvWindow")}
        answer = self.perform(key.account, request.method, request.path, kept, changes=operation.changes)
        if request.path.endswith("/listenKey"):
            self._renewed[key.account] = monotonic_ms()
        if fault is not None:
            await self._spoil(request, fault)
        return orjson.dumps(answer)

    def perform(self, account: str, method: str, path: str, params: dict[str, str], *, changes: bool) -> Any:
        """Do it, keep it, tell of it."""
        now_ms = max(self._clock.now_ms(), self.venue.now_ms)
        try:
            answer = perform(self.venue, account, method, path, params, now_ms)
        except ApiError:
            self._tell()  # what time alone brought about on the way
            raise
        if changes and self._store is not None:
            self._store.append(Asked(now_ms, account, method, path, params))
            if self._store.lines >= JOURNAL_LINES:
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
        self._queue()
        if self._store is not None and monotonic_ms() - self._saved_ms > SNAPSHOT_WALL_MS:
            self._saved_ms = monotonic_ms()
            if any(desk.active() for desk in self.venue.desks.values()):
                self._snapshot()

    def _expire(self, now_ms: int) -> None:
        """Listen keys that nobody renewed end, with a last word to whoever listens."""
        for name, desk in self.venue.desks.items():
            if not desk.ledger.account.listen_open:
                continue
            now = monotonic_ms()
            if now - self._renewed.setdefault(name, now) < self._life_ms:
                continue
            key = self.venue.listen_key(name)
            self._queue()
            self._send(key, {"e": "listenKeyExpired", "E": now_ms, "listenKey": key}, now_ms)
            self.perform(name, "EXPIRE", "listenKey", {}, changes=True)

    # --- events ---

    def _tell(self, *, late: bool = False) -> None:
        """Send what happened, now or just after the answer that is being written."""
        if late:
            self._held += self._taken()
            self._timer = asyncio.get_running_loop().call_later(0.002, self._tell)
            return
        self._queue()
        self._hub.flush()

    def _queue(self) -> None:
        """Queue all that happened at whoever listens; held events go first, so that none overtakes another."""
        events, self._held = self._held + self._taken(), []
        for key, event in events:
            self._send(key, event, int(event["E"]))

    def _taken(self) -> list[tuple[str, dict[str, Any]]]:
        """New events with the listen key that stands now; those that nobody can hear are gone."""
        happened = self.venue.take_events()
        for name, event in happened:
            self.audit.hear(name, event)
        return [
            (self.venue.listen_key(name), event)
            for name, event in happened
            if self.venue.desks[name].ledger.account.listen_open
        ]

    def _send(self, key: str, event: dict[str, Any], now_ms: int) -> None:
        if not self._faults.silent("private", now_ms):
            self._hub.send_user(key, orjson.dumps(event))

    # --- state ---

    def state(self) -> dict[str, Any]:
        """The venue, its audit, the faults that are planned, and the market time it is of."""
        plan = [asdict(fault) for fault in self._faults.plan]
        more = {"market_ms": self._clock.now_ms(), "faults": plan, "audit": self.audit.state()}
        return self.venue.state() | more

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
        self._held, now = [], monotonic_ms()
        self._renewed = dict.fromkeys(self.venue.desks, now)
        self.changed()

    def changed(self) -> None:
        """Faults or switches are other ones from now on: a replay must not cross this moment."""
        if self._store is not None:
            self._snapshot()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._store is not None:
            self._snapshot()
            self._store.close()

    def _snapshot(self) -> None:
        assert self._store is not None
        self._saved_ms = monotonic_ms()
        self._store.snapshot(self.state())


def adopt(venue: Venue, faults: Faults, audit: Audit, state: Mapping[str, Any], asked: list[Asked]) -> int:
    """Restore ``state`` and repeat the requests after it; returns the last moment they speak of.

    The audit stamps what it hears of the repetition with the present: when it happened nobody wrote down.
    """
    try:
        venue.restore(state)
        audit.restore(state.get("audit", {}))
        plan = [Fault.from_json(fault) for fault in state["faults"]]
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise InvalidInputError("state", type(error).__name__, "the state of an emulated exchange") from error
    faults.restore(plan, venue.now_ms)
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
