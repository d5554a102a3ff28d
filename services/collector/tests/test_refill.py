"""History into a store without a database: first, again, further back, after damage; and as a user runs it."""

import asyncio
import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from packages.common.errors import VenueUnavailableError
from packages.common.store import ResearchStore
from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS
from services.collector.adapters.store import read_gaps
from services.collector.refill import load_into_store, repair_store
from services.collector.tests.fakes import T0, FakeVenue
from services.training.market import VERSION

ROOT = Path(__file__).resolve().parents[3]
SYMBOLS = ["BTCUSDT", "ETHUSDT"]
BARS = ("candles_1m", "mark_candles_1m", "index_candles_1m")
START = T0 - 4_000 * MINUTE_MS


@pytest.fixture
def store(tmp_path):
    return ResearchStore(f"file://{tmp_path}/store")


def hashes(store):
    return {(d, s): store.content_hashes(d, VERSION, s) for d in (*BARS, "funding_rates") for s in SYMBOLS}


def damage(store, dataset, symbol, minutes):
    """Take minutes (of ``START``) out of a stored series."""
    columns = store.read(dataset, VERSION, symbol)
    lost = np.isin((columns["ts"] - START) // MINUTE_MS, minutes)
    store.remove(dataset, VERSION, symbol)
    store.write(dataset, VERSION, symbol, {name: values[~lost] for name, values in columns.items()})


def klines_asked(venue):
    return [what for what in venue.asked if what[0] in ("klines", "mark", "index")]


async def test_the_settlement_that_the_last_bar_closes_with_is_loaded(store):
    end = T0 // (8 * HOUR_MS) * 8 * HOUR_MS
    await load_into_store(FakeVenue(SYMBOLS, T0), store, SYMBOLS, end - DAY_MS, end)
    assert store.read("candles_1m", VERSION, "ETHUSDT", ())["ts"][-1] == end - MINUTE_MS
    assert store.read("funding_rates", VERSION, "ETHUSDT", ())["ts"][-1] == end


async def test_a_second_run_asks_for_no_bar_and_one_further_back_only_for_what_is_new(store):
    venue = FakeVenue(SYMBOLS, T0)
    report = await load_into_store(venue, store, SYMBOLS, START + 1_000 * MINUTE_MS, T0)
    assert report.rows["candles_1m"] == 6_000
    venue.asked.clear()
    again = await load_into_store(venue, store, SYMBOLS, START + 1_000 * MINUTE_MS, T0)
    assert klines_asked(venue) == []
    assert "candles_1m" not in again.rows
    report = await load_into_store(venue, store, SYMBOLS, START, T0)
    assert report.rows["candles_1m"] == 2_000
    whole = ResearchStore(f"{store._url}-whole")
    await load_into_store(FakeVenue(SYMBOLS, T0), whole, SYMBOLS, START, T0)
    assert hashes(store) == hashes(whole)


async def test_a_killed_load_goes_on_and_ends_equal_to_one_that_was_not(store):
    venue = FakeVenue(SYMBOLS, T0)
    ask, count = venue._ask, 0

    def failing(*what):
        nonlocal count
        count += 1
        if count > 11:
            raise VenueUnavailableError("gone")
        ask(*what)

    venue._ask = failing
    with pytest.raises(VenueUnavailableError):
        await load_into_store(venue, store, SYMBOLS, START, T0)
    assert store.symbols("candles_1m", VERSION)
    venue._ask = ask
    await load_into_store(venue, store, SYMBOLS, START, T0)
    whole = ResearchStore(f"{store._url}-whole")
    await load_into_store(FakeVenue(SYMBOLS, T0), whole, SYMBOLS, START, T0)
    assert hashes(store) == hashes(whole)


async def test_progress_is_told_by_symbol_and_ends_whole(store):
    told = {}
    await load_into_store(
        FakeVenue(SYMBOLS, T0),
        store,
        SYMBOLS,
        START,
        T0,
        on_symbol=lambda s, done, all_: told.update({s: (done, all_)}),
    )
    assert told == {"BTCUSDT": (9, 9), "ETHUSDT": (9, 9)}  # three series of three pages


async def test_repair_fills_what_rest_has_and_notes_both_kinds(store):
    venue = FakeVenue(SYMBOLS, T0)
    await load_into_store(venue, store, SYMBOLS, START, T0)
    before = hashes(store)
    damage(store, "candles_1m", "ETHUSDT", range(100, 120))
    damage(store, "mark_candles_1m", "BTCUSDT", range(3000, 3001))
    found = await repair_store(venue, store, SYMBOLS, START, T0)
    assert (found["gaps"], found["missing_minutes"], found["repaired_minutes"], found["unavailable"]) == (2, 21, 21, {})
    assert hashes(store) == before
    (gap,) = read_gaps(store, "ETHUSDT")
    assert (gap["status"], gap["source"], gap["repaired_bars"]) == ("repaired", "rest", 20)

    damage(store, "candles_1m", "ETHUSDT", range(100, 120))
    venue.absent = {("ETHUSDT", START + m * MINUTE_MS) for m in range(105, 110)}
    found = await repair_store(venue, store, SYMBOLS, START, T0)
    assert (found["repaired_minutes"], found["unavailable"]) == (15, {"ETHUSDT": {"candles_1m": 5}})
    status = {
        ((g["from_ts"] - START) // MINUTE_MS, g["missing_bars"]): g["status"] for g in read_gaps(store, "ETHUSDT")
    }
    assert status == {(100, 5): "repaired", (105, 5): "unavailable", (110, 10): "repaired"}


async def test_repair_brings_back_a_lost_settlement(store):
    venue = FakeVenue(SYMBOLS, T0)
    await load_into_store(venue, store, SYMBOLS, START, T0)
    before = hashes(store)
    columns = store.read("funding_rates", VERSION, "BTCUSDT")
    store.remove("funding_rates", VERSION, "BTCUSDT")
    store.write("funding_rates", VERSION, "BTCUSDT", {n: np.delete(v, 7) for n, v in columns.items()})
    found = await repair_store(venue, store, SYMBOLS, START, T0)
    assert found["settlements"] == 1
    assert hashes(store) == before


# --- as a user runs it ----------------------------------------------------------------------------------------------


async def perpilot(environment, *arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "apps.cli.main", "data", *arguments,
        cwd=ROOT, env=os.environ | environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 240)
    return process.returncode, out.decode(), err.decode()


@pytest.mark.integration
async def test_bootstrap_check_and_repair_from_the_command_line(tmp_path):
    emulator = pytest.importorskip("services.emulator.server")
    config = pytest.importorskip("services.emulator.config")
    async with emulator.serve_emulator(config.EmulatorConfig(speed=math.inf, history_days=3)) as exchange:
        environment = {
            "EXCHANGE": "emulator", "SPEED": "max", "UNIVERSE": "BTCUSDT,ETHUSDT,BNXUSDT", "VAR_DIR": str(tmp_path),
            "EXCHANGE_REST_URL": exchange.rest_url, "EXCHANGE_WS_URL": exchange.ws_url, "STORE_URL": "",
        }  # fmt: skip
        code, out, err = await perpilot(environment, "bootstrap", "--days", "1", "--json")
        assert code == 0, err
        found = json.loads(out)
        assert found["refused"] == {"BNXUSDT candles_1m": "not listed"}
        assert found["check"]["symbols"]["ETHUSDT"]["candles"]["share"] == 1.0
        assert found["rows"]["candles_1m"] == found["rows"]["mark_candles_1m"] >= 2 * 1440
        store = ResearchStore(f"file://{tmp_path}/store")
        ts = store.read("candles_1m", VERSION, "ETHUSDT", ())["ts"]
        assert ts[0] % DAY_MS == 0
        before = store.content_hashes("candles_1m", VERSION, "ETHUSDT")
        damage(store, "candles_1m", "ETHUSDT", (ts[500:600] - START) // MINUTE_MS)
        code, out, err = await perpilot(environment, "check")
        assert code == 1
        assert "ETHUSDT: 100 candles missing in 1 gaps" in out
        assert not json.loads(store.get_object("checks/latest.json"))["ok"]
        assert [g["status"] for g in read_gaps(store, "ETHUSDT")] == ["open"]
        code, out, err = await perpilot(environment, "repair")
        assert (code, "100 repaired, 0 the exchange has not" in out) == (0, True), err
        assert store.content_hashes("candles_1m", VERSION, "ETHUSDT") == before
        assert [g["status"] for g in read_gaps(store, "ETHUSDT")] == ["repaired"]
