"""Who guesses has to wait: after some failures longer each time, never for ever. Pure; times are milliseconds."""

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass

from apps.api.auth.errors import TooManyAttemptsError

DELAY_MAX_MS, QUIET_MS = 300_000.0, 900_000.0
_KEYS_MAX = 10_000


@dataclass(slots=True)
class _Tally:
    failures: int = 0
    last_ms: float = 0.0


class Throttle:
    """Failures by key. The first ``free`` cost nothing, the next a second, then twice as long each up to five minutes;
    fifteen quiet minutes are forgotten. An attempt counts when it begins, so that many at once are not one.
    """

    def __init__(self, free: int) -> None:
        self._free = free
        self._tallies: OrderedDict[str, _Tally] = OrderedDict()

    def wait_ms(self, key: str, now_ms: float) -> float:
        """How long ``key`` must wait before its next attempt; 0: not at all."""
        tally = self._tallies.get(key)
        if tally is None or now_ms - tally.last_ms > QUIET_MS:
            return 0.0
        over = tally.failures - self._free
        if over < 0:
            return 0.0
        return max(0.0, tally.last_ms + min(1_000.0 * 2.0 ** min(over, 20), DELAY_MAX_MS) - now_ms)

    def begin(self, key: str, now_ms: float) -> None:
        """An attempt, taken for a failure until ``succeeded``. Raises ``TooManyAttemptsError``."""
        wait = self.wait_ms(key, now_ms)
        if wait > 0:
            raise TooManyAttemptsError(math.ceil(wait / 1000))
        tally = self._tallies.pop(key, None)
        if tally is None or now_ms - tally.last_ms > QUIET_MS:
            tally = _Tally()
        tally.failures, tally.last_ms = tally.failures + 1, now_ms
        self._tallies[key] = tally
        if len(self._tallies) > _KEYS_MAX:
            self._tallies.popitem(last=False)

    def succeeded(self, key: str, *, forgive: bool) -> None:
        """The attempt was right: it does not count; ``forgive``: nor do those before it."""
        tally = self._tallies.get(key)
        if tally is not None:
            tally.failures = 0 if forgive else max(0, tally.failures - 1)


def network(host: str) -> str:
    """Whom an address belongs to: itself, of IPv6 its /64."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
