"""Faults: what goes wrong, when (market time), for whom, how often. Decided by seed, so that a run repeats itself."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from packages.common.errors import InvalidInputError
from packages.common.time import MINUTE_MS


class Kind(StrEnum):
    DROP_CONNECTION = "drop_connection"  # the sockets of ``category`` are cut without a close frame
    SILENT_SOCKET = "silent_socket"  # they stay open and say nothing
    MISSING_CLOSE = "missing_close"  # the x:true push of a candle never comes
    LATE_CLOSE = "late_close"  # it comes ``delay_ms`` late
    REST_503 = "rest_503"  # Service Unavailable, nothing executed
    REST_SLOW = "rest_slow"  # answers take ``delay_ms``
    # trading requests below ``path``, all of them when it is empty
    ORDER_LOST = "order_lost"  # executed, and the connection breaks before the answer
    ORDER_UNKNOWN = "order_unknown"  # executed, answered 503 "Unknown error", or 408 with ``code`` -1007
    ORDER_DROPPED = "order_dropped"  # the same answers, not executed
    ORDER_REJECTED = "order_rejected"  # not executed, refused with ``code`` (-1008 unless given)
    ORDER_SLOW = "order_slow"  # executed at once, answered after ``delay_ms``
    MARKET_SHORT = "market_short"  # half of a market order finds a counterparty, the rest expires
    TRIGGER_STUCK = "trigger_stuck"  # conditional orders stay in TRIGGERING until it ends


_TRADING = (Kind.ORDER_LOST, Kind.ORDER_UNKNOWN, Kind.ORDER_DROPPED, Kind.ORDER_REJECTED, Kind.ORDER_SLOW)


@dataclass(frozen=True)
class Fault:
    """Active while ``from_ms <= now < to_ms``; ``share`` of the occasions, for ``symbols`` (all when empty)."""

    kind: Kind
    from_ms: int
    to_ms: int
    share: float = 1.0
    delay_ms: int = 3_000
    symbols: tuple[str, ...] = ()
    category: str = "market"
    path: str = ""
    code: int = 0

    @classmethod
    def from_json(cls, body: Mapping[str, object]) -> "Fault":
        """``InvalidInputError`` names what is wrong."""
        kind = body.get("kind")
        if kind not in set(Kind):
            raise InvalidInputError("kind", kind, "one of " + ", ".join(Kind))
        unknown = set(body) - set(cls.__dataclass_fields__)
        if unknown:
            raise InvalidInputError("fault", sorted(unknown), "only " + ", ".join(cls.__dataclass_fields__))
        numbers = {}
        for name, least in (("from_ms", 0), ("to_ms", 0), ("delay_ms", 0)):
            value = body.get(name, 3_000 if name == "delay_ms" else None)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InvalidInputError(name, value, "a whole number of market milliseconds")
            numbers[name] = value
        share = body.get("share", 1.0)
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise InvalidInputError("share", share, "a number between 0 and 1")
        symbols = body.get("symbols", [])
        if not isinstance(symbols, list | tuple) or not all(isinstance(s, str) for s in symbols):
            raise InvalidInputError("symbols", symbols, "a list of symbols")
        category = body.get("category", "market")
        if category not in ("market", "public", "private"):
            raise InvalidInputError("category", category, "market, public or private")
        path, code = body.get("path", ""), body.get("code", 0)
        if not isinstance(path, str):
            raise InvalidInputError("path", path, "the beginning of a path, as /fapi/v1/algoOrder")
        if not isinstance(code, int) or isinstance(code, bool) or code > 0:
            raise InvalidInputError("code", code, "an error code of the exchange, below zero")
        return cls(
            Kind(str(kind)), share=float(share), symbols=tuple(symbols), category=str(category), path=path, code=code,
            **numbers,
        )  # fmt: skip


class Faults:
    """The schedule. Whether an occasion is hit depends on (seed, fault, occasion) alone."""

    def __init__(self, seed: int, plan: Iterable[Fault] = ()) -> None:
        self._seed = seed
        self.plan: list[Fault] = list(plan)
        self._done: set[int] = set()
        self._asked = 0

    def add(self, fault: Fault) -> None:
        self.plan.append(fault)

    def clear(self) -> None:
        self.plan.clear()
        self._done.clear()

    def restore(self, plan: Iterable[Fault], now_ms: int) -> None:
        """Take over a plan that was in force before; what strikes once and was due by ``now_ms`` has struck."""
        self.clear()
        self.plan.extend(plan)
        self._done.update(number for number, fault in enumerate(self.plan) if fault.from_ms <= now_ms)

    def to_drop(self, now_ms: int) -> list[str]:
        """Categories whose sockets are to be cut now: once for each fault, as soon as it is due."""
        cut = []
        for number, fault in enumerate(self.plan):
            if fault.kind is Kind.DROP_CONNECTION and fault.from_ms <= now_ms and number not in self._done:
                self._done.add(number)
                cut.append(fault.category)
        return cut

    def silent(self, category: str, now_ms: int) -> bool:
        return any(
            fault.kind is Kind.SILENT_SOCKET and fault.category == category and fault.from_ms <= now_ms < fault.to_ms
            for fault in self.plan
        )

    def close_delay(self, symbol: str, close_ms: int) -> int | None:
        """Delay of the closing push of the candle that ends at ``close_ms``; 0 in time, None never."""
        delay = 0
        for number, fault in enumerate(self.plan):
            if fault.kind in (Kind.MISSING_CLOSE, Kind.LATE_CLOSE) and self._hit(number, fault, symbol, close_ms):
                if fault.kind is Kind.MISSING_CLOSE:
                    return None
                delay = max(delay, fault.delay_ms)
        return delay

    def service_unavailable(self, now_ms: int) -> bool:
        return self._rest(Kind.REST_503, now_ms) is not None

    def answer_delay(self, now_ms: int) -> int:
        fault = self._rest(Kind.REST_SLOW, now_ms)
        return 0 if fault is None else fault.delay_ms

    def trading(self, path: str, symbol: str, now_ms: int) -> Fault | None:
        """What befalls a trading request, the first fault that strikes."""
        for number, fault in enumerate(self.plan):
            if (
                fault.kind not in _TRADING
                or not path.startswith(fault.path)
                or not fault.from_ms <= now_ms < fault.to_ms
            ):
                continue
            if fault.symbols and symbol not in fault.symbols:
                continue
            self._asked += 1
            if self._draw(number, "trading", self._asked) < fault.share:
                return fault
        return None

    def stuck(self, symbol: str, ts_ms: int) -> bool:
        """Whether triggers of ``symbol`` hang at ``ts_ms``; a share below 1 draws anew for every minute."""
        minute = ts_ms // MINUTE_MS
        return any(
            fault.kind is Kind.TRIGGER_STUCK
            and fault.from_ms <= ts_ms < fault.to_ms
            and (not fault.symbols or symbol in fault.symbols)
            and self._draw(number, symbol, minute) < fault.share
            for number, fault in enumerate(self.plan)
        )

    def filled_share(self, symbol: str, ts_ms: int, order_id: int) -> float:
        """The part of a market order that is filled."""
        short = any(
            fault.kind is Kind.MARKET_SHORT
            and fault.from_ms <= ts_ms < fault.to_ms
            and (not fault.symbols or symbol in fault.symbols)
            and self._draw(number, symbol, order_id) < fault.share
            for number, fault in enumerate(self.plan)
        )
        return 0.5 if short else 1.0

    def _rest(self, kind: Kind, now_ms: int) -> Fault | None:
        for number, fault in enumerate(self.plan):
            if fault.kind is kind and fault.from_ms <= now_ms < fault.to_ms:
                self._asked += 1
                if self._draw(number, "rest", self._asked) < fault.share:
                    return fault
        return None

    def _hit(self, number: int, fault: Fault, symbol: str, ts_ms: int) -> bool:
        if not fault.from_ms <= ts_ms < fault.to_ms or (fault.symbols and symbol not in fault.symbols):
            return False
        return self._draw(number, symbol, ts_ms) < fault.share

    def _draw(self, number: int, name: str, occasion: int) -> float:
        digest = hashlib.sha256(f"{self._seed}:{number}:{name}:{occasion}".encode()).digest()
        return int.from_bytes(digest[:7], "big") / 2.0**56
