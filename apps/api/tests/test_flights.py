"""One read for all who ask at once; whoever asks after a change gets a read of his own."""

import asyncio

import pytest

from apps.api.auth.sessions import Sessions
from apps.api.flights import Flights
from apps.api.tests.running import call


async def test_all_who_ask_at_once_get_one_read_and_one_failure():
    reads = []

    async def read():
        reads.append(1)
        await asyncio.sleep(0)
        if len(reads) == 2:
            raise ConnectionError("away")
        return len(reads)

    flights = Flights[int]()
    assert await asyncio.gather(*(flights.join("a", read) for _ in range(5))) == [1] * 5
    found = await asyncio.gather(*(flights.join("a", read) for _ in range(5)), return_exceptions=True)
    assert [str(one) for one in found] == ["away"] * 5
    assert await flights.join("a", read) == 3


async def test_who_hangs_up_takes_nobodys_answer_with_him():
    gate = asyncio.Event()

    async def read():
        await gate.wait()
        return 7

    flights = Flights[int]()
    first, second = (asyncio.create_task(flights.join("a", read)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    gate.set()
    assert await second == 7


@pytest.mark.integration
async def test_what_was_read_before_a_session_changed_is_not_kept_after_it(api, monkeypatch):
    """A lookup is held between its query and its end while the caller signs out: nobody may be let in by it."""
    sessions, real = api.resources.sessions, Sessions._session
    held, go = asyncio.Event(), asyncio.Event()

    async def slow(self, conn, key):
        found = await real(self, conn, key)
        held.set()
        await go.wait()
        return found

    sessions.forget()
    monkeypatch.setattr(Sessions, "_session", slow)
    early = asyncio.create_task(call(api, "GET", "/api/universe", 200))
    await held.wait()
    monkeypatch.setattr(Sessions, "_session", real)
    sessions.forget()
    async with api.resources.pool.connection() as conn:
        await conn.execute("DELETE FROM sessions")
    await call(api, "GET", "/api/universe", 401)
    go.set()
    await early  # began before
    await call(api, "GET", "/api/universe", 401)
