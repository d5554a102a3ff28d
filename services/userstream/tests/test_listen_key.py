import pytest

from packages.common.errors import VenueRejectedError, VenueUnavailableError
from services.userstream.listen_key import KEEP_EVERY_MS, LIFE_MS, KeyChange, keep


class JumpClock:
    """Sleeping is what moves it."""

    speed = 1.0

    def __init__(self) -> None:
        self.now = 0
        self.slept: list[float] = []

    def now_ms(self) -> int:
        return self.now

    async def sleep(self, market_ms: float) -> None:
        self.slept.append(market_ms)
        self.now += int(market_ms)


class Venue:
    """Answers a script of keys and errors; notes what was asked."""

    def __init__(self, *script) -> None:
        self.script, self.asked = list(script), []

    async def _answer(self, what: str) -> str:
        self.asked.append(what)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def create_listen_key(self) -> str:
        return await self._answer("POST")

    async def keep_listen_key(self) -> str:
        return await self._answer("PUT")


async def first(n: int, venue: Venue, clock: JumpClock) -> list[KeyChange]:
    changes = []
    async for change in keep(venue, clock):
        changes.append(change)
        if len(changes) == n:
            return changes
    raise AssertionError


async def test_a_key_is_made_once_and_kept_alive_every_twenty_minutes():
    venue, clock = Venue("k1", "k1", "k1", "k2"), JumpClock()
    assert await first(2, venue, clock) == [KeyChange("k1", "created"), KeyChange("k2", "replaced")]
    assert venue.asked == ["POST", "PUT", "PUT", "PUT"]
    assert clock.slept == [KEEP_EVERY_MS] * 3


async def test_an_expired_key_is_told_and_made_anew_at_once():
    venue, clock = Venue("k1", VenueRejectedError("gone", venue_code=-1125), "k2"), JumpClock()
    changes = await first(3, venue, clock)
    assert changes == [KeyChange("k1", "created"), KeyChange(None, "expired"), KeyChange("k2", "created")]
    assert venue.asked == ["POST", "PUT", "POST"]


async def test_a_short_outage_changes_nothing_a_long_one_is_told_once():
    venue, clock = Venue("k1", VenueUnavailableError("x"), "k1", VenueUnavailableError("x")), JumpClock()
    changes = await first(2, venue, clock)
    assert changes == [KeyChange("k1", "created"), KeyChange(None, "unreachable")]
    assert clock.now >= LIFE_MS
    assert venue.asked[:3] == ["POST", "PUT", "PUT"]


async def test_a_key_that_is_not_allowed_is_an_error():
    with pytest.raises(VenueRejectedError, match="permission"):
        await first(1, Venue(VenueRejectedError("permission", venue_code=-2015)), JumpClock())
