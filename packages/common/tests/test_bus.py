"""The bus on a real Redis: fan-out, groups, trimming, and life without Redis."""

import asyncio
import math

import pytest
import redis

from packages.common.bus import Bus, Publisher, encode
from packages.common.errors import StoreUnavailableError
from packages.common.types import BlockReason

pytestmark = pytest.mark.integration


async def take(stream, n, timeout_s=60.0):
    out = []
    async with asyncio.timeout(timeout_s):
        async for message in stream:
            out.append(message)
            if len(out) == n:
                break
    return out


async def started(url, stream, readers=1):
    """A task that waits for the first message, certainly reading already, as the last of ``readers``."""
    task = asyncio.create_task(take(stream, 1))
    with redis.Redis.from_url(url) as client:
        while client.info("clients")["blocked_clients"] < readers:  # noqa: ASYNC110 - Redis has no event for it
            await asyncio.sleep(0.01)
    return task


async def test_every_reader_sees_what_is_published_after_it_came(redis_url):
    async with Bus(redis_url) as bus, Bus(redis_url) as other:
        bus.publish("signal_updates", {"n": 0})
        await bus.flush(60)
        first = await started(redis_url, bus.tail(["signal_updates"]))
        second = await started(redis_url, other.tail(["signal_updates"]), 2)
        bus.publish("signal_updates", [BlockReason(code="EV_BELOW_MIN", value=1.0)])
        for task in (first, second):
            (message,) = await task
            assert message.json()[0]["code"] == "EV_BELOW_MIN"
        (again,) = await take(bus.tail(["signal_updates"], since={"signal_updates": "0-0"}), 1)
        assert again.json() == {"n": 0}
        assert (await bus.latest("signal_updates")).json()[0]["value"] == 1.0
        assert await bus.latest("nothing") is None


async def test_a_tail_follows_several_channels_in_order(redis_url):
    async with Bus(redis_url) as bus:
        bus.publish_many([(c, {"c": c, "i": i}) for i in range(300) for c in ("status_updates", "risk_events")])
        await bus.flush(60)
        since = {"status_updates": "0-0", "risk_events": "0-0"}
        got = await take(bus.tail(since, since=since), 600)
        for channel in since:
            assert [m.json()["i"] for m in got if m.channel == channel] == list(range(300))


async def test_a_group_hands_each_message_to_one_consumer_and_gives_back_what_was_not_acknowledged(redis_url):
    async with Bus(redis_url) as bus:
        for i in range(3):
            await bus.send("commands", {"i": i})
        first = await take(bus.consume("commands", "worker", "a"), 3)
        await bus.ack(first[0], "worker")
        assert await bus.lag("commands", "worker") == 2
        restarted = await take(bus.consume("commands", "worker", "a"), 2)  # our own pending ones come first
        assert [m.json()["i"] for m in restarted] == [1, 2]
        claimed = await take(bus.consume("commands", "worker", "b", claim_after_ms=20), 2)  # a is dead for 20 ms
        assert [m.json()["i"] for m in claimed] == [1, 2]
        for message in claimed:
            await bus.ack(message, "worker")
        assert await bus.lag("commands", "worker") == 0
        await bus.send("commands", {"i": 3})
        assert await bus.lag("commands", "worker") == 1


async def test_streams_are_trimmed(redis_url):
    async with Bus(redis_url, max_length=100) as bus:
        bus.publish_many([("status_updates", {"i": i}) for i in range(3000)])
        await bus.flush(60)
        with redis.Redis.from_url(redis_url) as client:
            assert 100 <= client.xlen("status_updates") < 400


async def test_without_redis_publishing_goes_on_and_the_newest_survive(killable_redis):
    async with Bus(killable_redis.url, buffer=50) as bus:
        bus.publish("status_updates", {"i": -1})
        await bus.flush(60)
        reader = await started(killable_redis.url, bus.tail(["status_updates"]))
        killable_redis.kill()
        for i in range(200):
            bus.publish("status_updates", {"i": i})
            await asyncio.sleep(0)
        with pytest.raises(StoreUnavailableError):
            await bus.flush(0.2)
        with pytest.raises(StoreUnavailableError):
            await bus.send("commands", {})
        assert bus.metrics.connected is False
        assert bus.metrics.dropped >= 150
        await asyncio.to_thread(killable_redis.start)
        await bus.flush(60)
        assert bus.metrics.connected
        assert bus.metrics.dropped == 150
        assert (await bus.latest("status_updates")).json() == {"i": 199}
        assert (await reader)[0].json() == {"i": 150}


async def test_a_consumer_survives_the_loss_of_redis_and_of_the_group(killable_redis):
    async with Bus(killable_redis.url) as bus:
        await bus.send("commands", {"i": 0})
        stream = bus.consume("commands", "worker", "a")
        (message,) = await take(stream, 1)
        await bus.ack(message, "worker")
        task = await started(killable_redis.url, bus.consume("commands", "worker", "a"))
        killable_redis.kill()
        await asyncio.to_thread(killable_redis.start)
        with redis.Redis.from_url(killable_redis.url) as client:
            client.flushall()
        await bus.send("commands", {"i": 1})
        assert (await task)[0].json() == {"i": 1}


def test_a_batch_job_publishes_without_a_loop(redis_url):
    publisher = Publisher(redis_url)
    assert publisher.publish("training_updates", {"progress": 0.5})
    publisher.close()
    assert Publisher("redis://127.0.0.1:1").publish("training_updates", {}) is False


def test_nan_is_null_on_the_wire():
    assert encode({"x": math.nan, "y": [BlockReason(code="A", value=math.inf)]}) == (
        b'{"x":null,"y":[{"code":"A","value":null,"limit":null,"distance":null}]}'
    )
