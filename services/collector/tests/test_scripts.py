"""The scripts as a user runs them: the real database, the emulated exchange, processes of their own."""

import asyncio
import math
import os
import sys
from pathlib import Path

import psycopg
import pytest

from packages.common.time import DAY_MS, MINUTE_MS, floor_minute

emulator = pytest.importorskip("services.emulator.server")
config = pytest.importorskip("services.emulator.config")
pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
UNIVERSE = "BTCUSDT,ETHUSDT,BNXUSDT"


async def run(script: str, environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"scripts.{script}", *arguments,
        cwd=ROOT, env=os.environ | environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 240)
    return process.returncode or 0, out.decode(), err.decode()


def counts(url: str) -> dict[str, int]:
    tables = ("candles_1m", "mark_candles_1m", "index_candles_1m", "funding_rates", "leverage_brackets", "data_gaps")
    with psycopg.connect(url) as conn:
        return {t: conn.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables}


async def test_a_new_database_is_filled_and_a_second_run_adds_nothing(postgres_url, tmp_path):
    settings = config.EmulatorConfig(speed=math.inf, history_days=2)
    async with emulator.serve_emulator(settings) as exchange:
        environment = {
            "DATABASE_URL": postgres_url, "EXCHANGE": "emulator", "SPEED": "max", "UNIVERSE": UNIVERSE,
            "EXCHANGE_REST_URL": exchange.rest_url, "EXCHANGE_WS_URL": exchange.ws_url, "VAR_DIR": str(tmp_path),
        }  # fmt: skip
        code, out, err = await run("init_universe", environment)
        assert code == 0, err
        assert "3 symbols, 2 active; BNXUSDT delisted" in out
        code, out, err = await run("bootstrap_history", environment, "--days", "1")
        assert code == 0, err
        assert "100%" in err
        stored = counts(postgres_url)
        assert [stored[t] for t in ("candles_1m", "mark_candles_1m", "index_candles_1m")] == [2_880] * 3
        assert stored["funding_rates"] >= 6
        assert stored["leverage_brackets"] == 2
        assert stored["data_gaps"] == 0
        with psycopg.connect(postgres_url) as conn:
            first, last = conn.execute("SELECT min(ts), max(ts) FROM candles_1m WHERE symbol = 'ETHUSDT'").fetchone()
            rows = conn.execute(
                "SELECT symbol, status, universe_rank, tick_size FROM instruments ORDER BY 3"
            ).fetchall()
        now = floor_minute(exchange.clock.now_ms())
        assert (first.timestamp() * 1e3, last.timestamp() * 1e3) == (now - DAY_MS, now - MINUTE_MS)
        assert [r[:3] for r in rows] == [("BTCUSDT", "active", 0), ("ETHUSDT", "active", 1), ("BNXUSDT", "delisted", 2)]
        code, out, err = await run("bootstrap_history", environment, "--days", "1")
        assert code == 0, err
        assert counts(postgres_url) == stored


async def test_a_missing_address_is_one_clear_line(tmp_path):
    environment = {"DATABASE_URL": "", "EXCHANGE": "binance", "VAR_DIR": str(tmp_path), "UNIVERSE": UNIVERSE}
    code, out, err = await run("init_universe", environment)
    assert (code, out) == (1, "")
    assert err.strip() == "SETTINGS: DATABASE_URL: not set, expected the address of the migrated database"
