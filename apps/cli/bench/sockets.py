"""Market messages to records: parsed and assembled in memory, and read from a real socket of another process."""

import asyncio
import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import aiohttp

from apps.cli.bench import desk, material
from apps.cli.bench.measure import Figure, Plan, at_least, interleave
from apps.cli.bench.sender import serve
from packages.common.time import MINUTE_MS
from packages.common.types import KlineUpdate, MarkTick
from packages.exchange.binance.connection import Connection, Outbox
from packages.exchange.port import StreamItem

SYMBOLS = material.names(50)


def measure(plan: Plan) -> Iterator[Figure]:
    """``json.loads`` of the same frames, which parses and types nothing, stands beside it."""
    minutes = list(desk.frames(SYMBOLS, plan.size(120, 20)))
    count = sum(map(len, minutes))

    def assemble() -> int:
        records = desk.Records(SYMBOLS)
        made = 0
        for t, messages in enumerate(minutes):
            made += len(records.take(messages, material.START_MS + (t + 1) * MINUTE_MS))
        return made

    expected = len(SYMBOLS) * (len(minutes) - 1)  # the last one waits for the next minute's first sample
    assert assemble() == expected
    took = interleave(
        plan.rounds,
        {
            "product": assemble,
            "json": lambda: [json.loads(message) for messages in minutes for message in messages],
        },
    )
    yield Figure(
        *("sockets", f"{count:,} frames to {expected:,} records in memory", count / took["product"] / 1e3, "k/s"),
        f"json.loads, {count / took['json'] / 1e3:.0f} k/s", took["product"] / took["json"],
    )  # fmt: skip
    with _sender([message for messages in minutes for message in messages]) as port:
        rates = [asyncio.run(_read(port, count)) for _ in range(plan.size(5, 3))]
    yield at_least(
        *("sockets", f"{count:,} frames over a loopback WebSocket to records, CPU of the reader"),
        *(sorted(rates)[len(rates) // 2] / 1e3, "k/s"), limit=80.0,
    )  # fmt: skip


@contextmanager
def _sender(messages: Sequence[str]) -> Iterator[int]:
    """The port of another process that sends ``messages`` to each connection."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, list(messages)))
    process.start()
    try:
        yield int(ours.recv())
    finally:
        ours.send(None)
        process.join(10)


async def _read(port: int, count: int) -> float:
    """Messages a CPU second of this process."""
    records, out = desk.Records(SYMBOLS), Outbox[StreamItem](10_000)
    assembler, made, seen = records.assembler, 0, 0
    async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://127.0.0.1:{port}/stream") as ws:
        await ws.send_str("go")
        reader = asyncio.create_task(Connection(ws, out, lambda: 0).read())
        begin = time.process_time()
        while seen < count:
            for item in await out.take():
                seen += 1
                if type(item) is MarkTick:
                    assembler.on_mark(item, item.event_ts_ms)
                elif type(item) is KlineUpdate:
                    assembler.on_kline(item, item.event_ts_ms)
            made += len(assembler.take_ready(assembler.newest_event_ms, assembler.newest_event_ms))
        taken = time.process_time() - begin
        reader.cancel()
    assert made >= len(SYMBOLS)
    return count / taken
