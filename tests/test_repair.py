"""Holes in the stored market, repaired by the job that the desk asks for, over the wire from an exchange."""

import asyncio

import numpy as np
import psycopg
import pytest

from apps.worker_batch import jobs, runner
from packages.common.config import load_settings
from packages.common.db import connect
from packages.common.store import ResearchStore
from packages.common.time import HOUR_MS, MINUTE_MS, from_datetime, iso, to_datetime
from services.emulator.config import EmulatorConfig
from services.emulator.testing import served
from services.training.market import CANDLES, VERSION

pytestmark = pytest.mark.integration
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def run(settings, kind, config):
    with connect(settings.database_url, autocommit=True) as conn:
        job_id, _ = jobs.insert(conn, kind, config)
        runner.run_job(job_id, settings)
        row = conn.execute("SELECT status, result, error FROM jobs WHERE job_id = %s", (job_id,)).fetchone()
    assert row[0] == "succeeded", row
    return row[1]


async def test_a_hole_is_filled_in_both_stores_and_named(postgres_url, redis_url, tmp_path):
    async with served(EmulatorConfig(speed=1.0, universe=SYMBOLS, history_days=2)) as exchange:
        settings = load_settings(
            env_file=None, database_url=postgres_url, redis_url=redis_url, var_dir=tmp_path, universe=",".join(SYMBOLS),
            exchange_rest_url=exchange.rest_url, exchange_ws_url=exchange.ws_url,
        )  # fmt: skip
        await asyncio.to_thread(run, settings, "bootstrap_history", {"days": 1})
        store = ResearchStore(settings.store)
        whole = store.read(CANDLES, VERSION, "ETHUSDT")
        first = int(whole["ts"][100])
        hole = (first, first + 10 * MINUTE_MS)
        with psycopg.connect(postgres_url, autocommit=True) as conn:
            conn.execute(
                "DELETE FROM candles_1m WHERE symbol = 'ETHUSDT' AND ts >= %s AND ts < %s",
                tuple(to_datetime(ts) for ts in hole),
            )
        settings = settings.model_copy(
            update={"store_url": f"file://{tmp_path}/second"}
        )  # as the desk's tables have it
        asked = {"symbols": ["ETHUSDT"], "from": iso(hole[0] - HOUR_MS), "to": iso(hole[1] + HOUR_MS)}
        found = await asyncio.to_thread(run, settings, "repair_data", asked)
        assert (found["gaps"], found["missing_minutes"], found["repaired_minutes"]) == (1, 10, 10)
        again = await asyncio.to_thread(run, settings, "repair_data", asked | {"as_of": "again"})
        assert (again["gaps"], again["repaired_minutes"]) == (0, 0)
    mended = ResearchStore(settings.store).read(CANDLES, VERSION, "ETHUSDT")
    for name, column in whole.items():
        np.testing.assert_array_equal(mended[name], column, err_msg=name)
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        rows = conn.execute(
            "SELECT extract(epoch FROM ts)::bigint * 1000, close FROM candles_1m WHERE symbol = 'ETHUSDT' ORDER BY ts"
        ).fetchall()
        gaps = conn.execute("SELECT dataset, from_ts, repaired_bars, status FROM data_gaps").fetchall()
    assert [row[0] for row in rows] == whole["ts"].tolist()
    assert [row[1] for row in rows] == whole["close"].tolist()
    assert [(name, from_datetime(at), bars, status) for name, at, bars, status in gaps] == [
        (CANDLES, hole[0], 10, "repaired")
    ]
