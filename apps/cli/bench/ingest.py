"""Bulk loads and the minute's commit against PostgreSQL's own COPY, in an embedded server of this run."""

import asyncio
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from apps.cli.bench import material
from apps.cli.bench.inference import MODEL_ID
from apps.cli.bench.measure import Figure, Plan, Work, at_least, at_most, percentile
from apps.cli.bench.minute import one_minute
from apps.cli.ports import free_port
from apps.cli.postgres import STOP_SIGNAL, Postgres
from packages.common.db import bulk_load, connect
from packages.common.migrate import upgrade
from packages.common.tables import table_spec
from packages.common.writer import BatchWriter

COLUMNS = (
    *("symbol", "ts", "open", "high", "low", "close", "volume", "quote_volume"),
    *("trades", "taker_buy_volume", "taker_buy_quote_volume"),
)


def measure(plan: Plan) -> Iterator[Figure]:
    """Each round adds as many candles to the growing table in every way; wall time, as the work is the server's."""
    rows = plan.size(66_000, 10_000)
    with tempfile.TemporaryDirectory() as folder, durable_server(Path(folder)) as server:
        Path(folder).chmod(0o755)
        yield from _loads(server, rows, plan.rounds)
        yield asyncio.run(_minutes(server.url, Path(folder) / "spill", plan.size(200, 40)))


@contextmanager
def durable_server(folder: Path) -> Iterator[Postgres]:
    """A durable cluster, migrated; gone afterwards."""
    server = Postgres(folder / "postgres", free_port())
    folder.chmod(0o755)  # the server may run as another user
    server.prepare()
    with (folder / "log").open("ab") as log:
        process = server.popen(log)
    try:
        server.wait_ready(process)
        server.create_database()
        upgrade(server.url)
        yield server
    finally:
        process.send_signal(STOP_SIGNAL)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait(10)


def _columns(symbol: str, rows: int) -> dict[str, Any]:
    bars = material.bars(rows, 1)
    values = {name: bars[:, i] for i, name in enumerate(("open", "high", "low", "close", "volume"), start=1)}
    values |= dict.fromkeys(("quote_volume", "taker_buy_volume", "taker_buy_quote_volume"), values["volume"])
    return {"symbol": symbol, "ts": material.times(rows), **values, "trades": np.arange(rows)}


def _loads(server: Postgres, rows: int, rounds: int) -> Iterator[Figure]:
    """A symbol of its own each time, so that the rows are new but their index is shared."""
    names = iter(range(1_000_000))
    spec = table_spec("candles_1m")
    file = server.data / "bench.copy"
    fields = ", ".join(COLUMNS)
    with connect(server.url, autocommit=True) as conn:
        known = _columns("KNOWNUSDT", rows)
        conn.execute(
            "INSERT INTO instruments (symbol) SELECT 'S' || i || 'USDT' FROM generate_series(0, 999) i "
            "UNION ALL SELECT 'KNOWNUSDT'"
        )
        bulk_load(conn, "candles_1m", known)
        assert bulk_load(conn, "candles_1m", known) == 0, "known rows were taken for new ones"

        def fresh() -> dict[str, Any]:
            return {**known, "symbol": f"S{next(names)}USDT"}

        def server_side() -> None:
            conn.execute(f"COPY candles_1m ({fields}) FROM '{file}' (FORMAT binary)".encode())

        def prepare() -> None:
            """The reference's file, outside its time: the same rows of a symbol nobody loaded yet."""
            others = fields.removeprefix("symbol, ")
            query = f"SELECT 'S{next(names)}USDT', {others} FROM candles_1m WHERE symbol = 'KNOWNUSDT'"  # noqa: S608
            conn.execute(f"COPY ({query}) TO '{file}' (FORMAT binary)".encode())

        works: dict[str, Work] = {
            "first": lambda: bulk_load(conn, spec.name, fresh(), assume_empty=True),
            "new": lambda: bulk_load(conn, spec.name, fresh()),
            "known": lambda: bulk_load(conn, spec.name, known),
        }
        taken: dict[str, list[float]] = {"reference": [], **{name: [] for name in works}}
        for _ in range(rounds + 1):  # the first is a warm-up
            prepare()
            for name, work in {"reference": server_side, **works}.items():
                begin = time.perf_counter()
                work()
                taken[name].append(time.perf_counter() - begin)
        took = {name: statistics.median(values[1:]) for name, values in taken.items()}
        conn.execute("TRUNCATE candles_1m")
    reference = f"server-side COPY, {rows / took['reference'] / 1e3:.0f} k rows/s"
    for name, what, limit in (
        ("first", "first load by COPY", 0.7),
        ("new", "idempotent load, new rows", 0.35),
        ("known", "idempotent load, known rows", 0.2),
    ):
        yield at_least(
            *("ingest", f"{what}, {rounds} x {rows:,} candles, wall", rows / took[name] / 1e3, "k rows/s"),
            limit=limit, reference=reference, ratio=took["reference"] / took[name],
        )  # fmt: skip


async def _minutes(url: str, spill: Path, count: int) -> Figure:
    """Everything a minute of fifty symbols writes, put and flushed."""
    tables = await asyncio.to_thread(one_minute)
    for name in ("decisions", "feature_checkpoints"):
        tables.pop(name, None)
    with connect(url, autocommit=True) as conn:  # signals name the model that made them
        conn.execute(
            "INSERT INTO models (model_id, algo, feature_schema_version, label_spec_hash, train_start, train_end, "
            "metrics, artifact_uri, content_hash, label_spec) "
            "VALUES (%s, 'lgbm', 1, 'bench', now(), now(), '{}', '', 'bench', '{}')",
            (MODEL_ID,),
        )
    taken = []
    async with BatchWriter(url, spill) as writer:
        writer.put("instruments", [{"symbol": name} for name in material.names(50)])
        await writer.flush(30)
        for i in range(count):
            minute = {name: [_shifted(row, i) for row in rows] for name, rows in tables.items()}
            begin = time.perf_counter()
            for name, rows in minute.items():
                writer.put(name, rows)
            await writer.flush(30)
            taken.append(time.perf_counter() - begin)
        assert writer.metrics.refused_rows == 0
    per_minute = sum(map(len, tables.values()))
    return at_most(
        *(
            "ingest",
            f"a minute's commit of 50 symbols, {per_minute} rows, p50, wall",
            percentile(taken, 0.5) * 1e3,
            "ms",
        ),
        limit=10.0,
    )


def _shifted(row: Any, minutes: int) -> Any:
    """The row of a later minute."""
    step = minutes * 60_000
    if isinstance(row, dict):
        return {**row, "ts": row["ts"] + step} if "ts" in row else row
    return (row[0], row[1] + step, *row[2:])
