"""The API and its gateway as they are run, in processes of their own, beside the realtime worker's loop.

The loop decides fifty generated symbols a second on a model, writes every row with ``BatchWriter`` and publishes every
message on the bus; the API reads both. Delivery is from the end of a decision to its arrival at a screen's socket.
"""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from apps.api.auth import sessions
from apps.cli.bench import desk, inference, material, screens
from apps.cli.bench.ingest import durable_server
from apps.cli.bench.measure import Figure, Plan, at_least, at_most, percentile
from apps.cli.ports import free_port
from apps.cli.redis_server import RedisServer
from apps.worker_realtime.publisher import StatePublisher
from packages.common.bus import Bus
from packages.common.db import connect
from packages.common.errors import StoreUnavailableError
from packages.common.time import MINUTE_MS, iso, to_datetime
from packages.common.writer import BatchWriter

AREA, SYMBOLS, CONNECTIONS, BARS = "serve", 50, 8, 1_440
_SPAWN = multiprocessing.get_context("spawn")
_HISTORY = """
INSERT INTO candles_1m (symbol, ts, open, high, low, close, volume, quote_volume, trades, taker_buy_volume,
  taker_buy_quote_volume)
SELECT 'BTCUSDT', ts, p, p * 1.001, p * 0.999, p * 1.0003, 12.345, 1234.5, 90, 6.1, 610.25
FROM (SELECT ts, 100 + sin(extract(epoch FROM ts) / 7000) AS p
      FROM generate_series(%(from)s, %(to)s, interval '1 min') ts) b;
INSERT INTO mark_candles_1m (symbol, ts, open, high, low, close)
SELECT symbol, ts, open, high, low, close FROM candles_1m;
INSERT INTO signals (symbol, ts, model_id, mode, ev_long, ev_short, er_long, er_short, q05_long, q05_short, e_mae_long,
  e_mae_short, e_hold_long_min, e_hold_short_min, decision, block_reason_codes)
SELECT symbol, ts, %(model)s, 'shadow', sin(close) / 1e3, -sin(close) / 1e3, cos(close) / 1e3, -cos(close) / 1e3,
  -0.0123, -0.0117, 0.0071, 0.0069, 61, 59, 'FLAT',
  '[{"code": "EV_BELOW_MIN", "value": 0.1, "limit": 0.2, "distance": 0.1}]'
FROM candles_1m
"""


def measure(plan: Plan) -> Iterator[Figure]:
    """Half a minute alone and half a minute with screens and callers; then the series against its bytes, in turn."""
    seconds, count = plan.size(30, 8), plan.size(500, 100)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        database = stack.enter_context(durable_server(folder)).url
        redis_url = stack.enter_context(_redis(folder / "redis"))
        _history(database)
        cookie = asyncio.run(_cookie(database))
        base = stack.enter_context(_api(folder, database, redis_url))
        loop = stack.enter_context(_child(trade, database, redis_url, str(folder / "spill"), plan.size(60, 20)))
        loop.recv()  # it has decided its first minutes
        alone = _decided(loop, seconds)
        screen = stack.enter_context(_child(screens.watch, base, cookie, count))
        screen.recv()
        caller = stack.enter_context(_child(screens.ask))
        watched, delays = _watched(loop, screen, seconds)
        assert len(delays) >= 0.9 * count * (seconds - 2), f"{len(delays)} messages arrived"
        yield at_most(
            *(AREA, f"{SYMBOLS} symbols a second to {count} screens, decision to socket, p99, wall"),
            *(percentile(delays, 0.99), "ms"), limit=250.0,
        )  # fmt: skip
        yield Figure(AREA, "the same, p50, wall", percentile(delays, 0.5), "ms")
        for share, name in ((0.5, "p50"), (0.99, "p99")):
            quiet, busy = (percentile(taken, share) for taken in (alone, watched))
            work = f"a minute's decision beside {count} screens, {name}, wall"
            yield Figure(AREA, work, busy, "ms", reference="the same alone", ratio=busy / quiet)
        screen.send(False)
        yield from _series(stack, caller, base, cookie, plan.rounds, plan.size(4, 1))


def _series(stack: ExitStack, caller: Pipe, base: str, cookie: str, rounds: int, seconds: float) -> Iterator[Figure]:
    url, headers = f"{base}/api/symbol/BTCUSDT/series", {"Cookie": cookie, "Accept-Encoding": "identity"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:  # noqa: S310 - our own server
        body = answer.read()
    other = stack.enter_context(_child(screens.serve_bytes, body))
    plain = f"http://127.0.0.1:{other.recv()}/"
    rates: dict[str, list[float]] = {url: [], plain: []}
    latencies: list[float] = []
    for _ in range(rounds):
        for target in (url, plain):
            caller.send((target, headers, CONNECTIONS, seconds))
            answers, took, taken = caller.recv()
            rates[target].append(answers / took)
            latencies += taken if target == url else []
    rate, bytes_rate = (percentile(rates[target], 0.5) for target in (url, plain))
    work = f"series of {BARS} bars with signals, {len(body):,} bytes, {CONNECTIONS} connections, the loop beside"
    yield at_least(
        AREA, f"{work}, wall", rate, "answers/s", limit=0.3, reference="the same bytes from memory",
        ratio=rate / bytes_rate,
    )  # fmt: skip
    yield at_most(AREA, f"{work}, p99, wall", percentile(latencies, 0.99), "ms", limit=40.0)
    caller.send((url, {"Cookie": cookie, "Accept-Encoding": "zstd, gzip"}, CONNECTIONS, seconds))
    answers, took, taken = caller.recv()
    yield Figure(AREA, "the same with zstd, wall", answers / took, "answers/s")
    caller.send(None)


def _decided(loop: Pipe, seconds: float) -> list[float]:
    """Milliseconds of each decision in the next ``seconds``."""
    loop.send(True)
    loop.recv()
    time.sleep(seconds)
    loop.send(True)
    return [took for _, _, took in loop.recv()]


def _watched(loop: Pipe, screen: Pipe, seconds: float) -> tuple[list[float], list[float]]:
    """Milliseconds of each decision, and of each delivery."""
    loop.send(True)
    loop.recv()
    time.sleep(seconds)
    loop.send(True)
    minutes = loop.recv()
    time.sleep(2.0)  # what was said last arrives
    screen.send(True)
    said = {minute: at for minute, at, _ in minutes}
    delays = [(at - said[minute]) / 1e6 for minute, at in screen.recv() if minute in said]
    return [took for _, _, took in minutes], delays


def trade(pipe: Pipe, database: str, redis_url: str, spill: str, trees: int) -> None:
    """A minute of the market a second. At a word sends (minute, monotonic ns of its end, ms it took) since."""
    asyncio.run(_trade(pipe, database, redis_url, Path(spill), trees))


async def _trade(pipe: Pipe, database: str, redis_url: str, spill: Path, trees: int) -> None:
    symbols = material.names(SYMBOLS)
    records = desk.Records(symbols)
    boosters = inference.boosters(trees, 2_000)
    since: list[tuple[str, int, float]] = []

    async with Bus(redis_url) as bus, BatchWriter(database, spill) as writer:
        publisher = StatePublisher(bus.publish)
        telling = asyncio.create_task(publisher.run())
        loop = desk.minute_loop(symbols, inference.predictor(boosters), writer, publisher.publish)
        running = asyncio.get_running_loop()
        due = running.time()
        for t, messages in enumerate(desk.frames(symbols, 1_440)):
            ts_ms = material.START_MS + t * MINUTE_MS
            taken = records.take([*messages, *desk.closing(symbols, t)], ts_ms + MINUTE_MS)
            begin = time.monotonic_ns()
            loop.take(desk.batch(ts_ms, taken))
            ended = time.monotonic_ns()
            since.append((iso(ts_ms), ended, (ended - begin) / 1e6))
            if t == 5:
                pipe.send("ready")
                answering = asyncio.create_task(_answers(pipe, since))
            due += 1.0
            await asyncio.sleep(max(0.0, due - running.time()))
        answering.cancel()
        telling.cancel()


async def _answers(pipe: Pipe, since: list[tuple[str, int, float]]) -> None:
    while True:
        await asyncio.to_thread(pipe.recv)
        found, since[:] = list(since), []
        pipe.send(found)


@contextmanager
def _child(work: Callable[..., None], *arguments: Any) -> Iterator[Pipe]:
    """``work(pipe, *arguments)`` in a process of its own; killed at the end."""
    ours, theirs = _SPAWN.Pipe()
    process: SpawnProcess = _SPAWN.Process(target=work, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join()


@contextmanager
def _redis(home: Path) -> Iterator[str]:
    server = RedisServer(home, free_port())
    server.prepare()
    process = server.popen(subprocess.DEVNULL)
    try:
        server.wait_ready(process)
        yield server.url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@contextmanager
def _api(folder: Path, database: str, redis_url: str) -> Iterator[str]:
    port = free_port()
    environment = {**os.environ, "DATABASE_URL": database, "REDIS_URL": redis_url, "API_PORT": str(port)}
    environment["VAR_DIR"] = str(folder / "var")
    base = f"http://127.0.0.1:{port}"
    with (folder / "api.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "apps.api"], env=environment, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{base}/healthz"):  # noqa: S310 - our own server
                    break
            except (urllib.error.URLError, ConnectionError):
                if process.poll() is not None or time.monotonic() > until:
                    raise StoreUnavailableError((folder / "api.log").read_text()) from None
                time.sleep(0.1)
        yield base
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _history(database: str) -> None:
    """A day of one symbol before the loop's first minute, and what its rows refer to."""
    first, last = (to_datetime(material.START_MS - minutes * MINUTE_MS) for minutes in (BARS, 1))
    with connect(database, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO models (model_id, algo, feature_schema_version, label_spec_hash, train_start, train_end, "
            "metrics, artifact_uri, content_hash, label_spec) "
            "VALUES (%s, 'lgbm', 1, 'bench', now(), now(), '{}', '', 'bench', '{}')",
            (inference.MODEL_ID,),
        )
        for symbol in material.names(SYMBOLS):
            conn.execute("INSERT INTO instruments (symbol) VALUES (%s)", (symbol,))
        for table in ("candles_1m", "mark_candles_1m", "signals"):
            for at in (first, last):
                conn.execute("SELECT ensure_month(%s, %s)", (table, at.date()))
        values = {"from": first, "to": last, "model": inference.MODEL_ID}
        for statement in _HISTORY.split(";"):
            conn.execute(statement.encode(), values)
        conn.execute("ANALYZE")


async def _cookie(database: str) -> str:
    """The cookie of a viewer who is signed in."""
    async with await psycopg.AsyncConnection.connect(database, autocommit=True, row_factory=dict_row) as conn:
        values = "(gen_random_uuid(), 'bench', 'viewer')"
        query = f"INSERT INTO users (user_id, name, role) VALUES {values} RETURNING user_id"  # noqa: S608
        user = await (await conn.execute(query.encode())).fetchone()
        assert user is not None
        secret, _ = await sessions.start(conn, user["user_id"], user_agent="bench", second_factor=False)
    return f"{sessions.COOKIE}={secret}"
