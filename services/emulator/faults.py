"""Faults: what goes wrong, when (market time), for whom, how often. Decided by seed, so that a run repeats itself."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from packages.common.errors import InvalidInputError


class Kind(StrEnum):
    DROP_CONNECTION = "drop_connection"  # the sockets of ``category`` are cut without a close frame
    SILENT_SOCKET = "silent_socket"  # they stay open and say nothing
    MISSING_CLOSE = "missing_close"  # the x:true push of a candle never comes
    LATE_CLOSE = "late_close"  # it comes ``delay_ms`` late
    REST_503 = "rest_503"  # Service Unavailable, nothing executed
    REST_SLOW = "rest_slow"  # answers take ``delay_ms``


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
        if not isinstance(symbols, list) or not all(isinstance(s, str) for s in symbols):
            raise InvalidInputError("symbols", symbols, "a list of symbols")
        category = body.get("category", "market")
        if category not in ("market", "public", "private"):
            raise InvalidInputError("category", category, "market, public or private")
        return cls(Kind(str(kind)), share=float(share), symbols=tuple(symbols), category=str(category), **numbers)


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
