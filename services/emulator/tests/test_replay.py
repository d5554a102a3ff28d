import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS
from services.emulator import columns as c
from services.emulator.market import Market
from services.emulator.recordings import choose_window, read_folder
from services.emulator.replay import ReplayMarket
from services.emulator.rest_klines import Klines
from services.emulator.tests.conftest import exchange

START = datetime(2025, 5, 4, 15, 33, tzinfo=UTC)
START_MS = int(START.timestamp()) * 1000


def walk(n, seed, level=100.0, decimals=2):
    rng = np.random.default_rng(seed)
    close = np.round(level * np.exp(np.cumsum(rng.normal(0, 0.001, n))), decimals)
    open_ = np.concatenate([[level], close[:-1]])
    high = np.round(np.maximum(open_, close) * 1.001, decimals)
    low = np.round(np.minimum(open_, close) * 0.999, decimals)
    return {"open": open_, "high": high, "low": low, "close": close, "volume": np.round(rng.exponential(5, n), 3)}


def write(path, start, table, minutes=None, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    n = len(table["close"])
    minutes = range(n) if minutes is None else minutes
    ts = pa.array([start + timedelta(minutes=int(m)) for m in minutes], pa.timestamp("ms", tz="UTC"))
    pq.write_table(pa.table({"ts": ts, **table, **more}), path)


@pytest.fixture
def folder(tmp_path):
    n = 5 * 1440
    write(tmp_path / "main" / "BTCUSDT.parquet", START, walk(n, 1, 95_000.0, 1))
    table = walk(n, 2)
    keep = [m for m in range(n) if m not in (100, 101)]
    write(tmp_path / "main" / "ETHUSDT-1m-2025-05.parquet", START, {k: v[keep] for k, v in table.items()}, keep)
    later = walk(2 * 1440, 3, 0.0123, 6)
    write(tmp_path / "full" / "NEWUSDT_2025-05.parquet", START + timedelta(days=3), later)
    write(tmp_path / "spot_klines" / "BTCUSDT.parquet", START, walk(n, 9))
    write(tmp_path / "klines_5m" / "BTCUSDT.parquet", START, walk(300, 9), range(0, 1500, 5))
    times = pa.array(
        [START.replace(hour=16, minute=0) + timedelta(hours=8 * k) for k in range(14)], pa.timestamp("ms", tz="UTC")
    )
    (tmp_path / "funding").mkdir()
    pq.write_table(
        pa.table({"ts": times, "funding_rate": [0.0001 * k for k in range(14)]}),
        tmp_path / "funding" / "BTCUSDT.parquet",
    )
    return tmp_path


async def test_served_bars_equal_the_parquet_bars(folder):
    source = ReplayMarket(folder)
    recorded = pq.read_table(folder / "main" / "BTCUSDT.parquet").to_pydict()
    async with exchange(source, history_days=4) as client:
        rows = await client.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=1500, startTime=START_MS)
    assert len(rows) == 1500
    for k, row in enumerate(rows):
        assert row[0] == int(recorded["ts"][k].timestamp()) * 1000
        assert [float(x) for x in row[1:6]] == [recorded[n][k] for n in ("open", "high", "low", "close", "volume")]
        assert float(row[3]) * float(row[5]) <= float(row[7]) + 1e-6
        assert float(row[7]) <= float(row[2]) * float(row[5]) + 1e-6


def test_real_bars_come_back_bit_for_bit(bars):
    for symbol, recording in read_folder(bars, ("BTCUSDT", "DOGEUSDT", "XRPUSDT")).items():
        source = ReplayMarket(bars, symbols=(symbol,))
        klines = Klines(Market(source, 10))
        start = int(recording.minutes[3000]) * MINUTE_MS
        answer = klines.klines({"symbol": symbol, "interval": "1m", "limit": "1500", "startTime": str(start)}, 2**45)
        rows = orjson.loads(answer)
        for at, name in enumerate(("open", "high", "low", "close", "volume"), 1):
            assert [float(row[at]) for row in rows] == recording.columns[name][3000:4500].tolist()


def test_a_missing_minute_stays_missing(folder):
    source = ReplayMarket(folder)
    eth = [s.symbol for s in source.specs].index("ETHUSDT")
    numbers, _ = Market(source, 10).rows(eth, START_MS // MINUTE_MS, START_MS // MINUTE_MS + 200)
    missing = set(range(START_MS // MINUTE_MS, START_MS // MINUTE_MS + 200)) - set(numbers.tolist())
    assert missing == {START_MS // MINUTE_MS + 100, START_MS // MINUTE_MS + 101}


def test_other_data_in_the_folder_is_left_out_and_a_late_symbol_is_a_listing(folder):
    source = ReplayMarket(folder)
    assert [s.symbol for s in source.specs] == ["BTCUSDT", "ETHUSDT", "NEWUSDT"]
    new = source.specs[2]
    assert new.onboard_ms == START_MS + 3 * DAY_MS
    assert new.status(new.onboard_ms - 1) == "PENDING_TRADING"
    assert (source.start_ms, source.end_ms) == (START_MS, START_MS + 5 * DAY_MS)


def test_files_of_a_symbol_are_merged_and_the_fuller_one_wins(tmp_path):
    first = walk(200, 1)
    write(tmp_path / "a" / "BTCUSDT.parquet", START, first)
    second = walk(200, 2)
    quote = np.round(second["volume"] * second["close"], 4)
    write(tmp_path / "b" / "BTCUSDT_more.parquet", START + timedelta(minutes=100), second, quote_volume=quote)
    merged = read_folder(tmp_path)["BTCUSDT"]
    assert len(merged.minutes) == 300
    assert merged.columns["close"].tolist() == [*first["close"][:100], *second["close"]]
    assert np.isnan(merged.columns["quote_volume"][:100]).all()
    assert merged.columns["quote_volume"][100:].tolist() == quote.tolist()


def test_recorded_funding_is_settled_and_the_rest_follows_the_rule(folder):
    source = ReplayMarket(folder)
    btc = source.funding(0, START_MS, source.end_ms)
    assert btc[0][:2] == (int(START.replace(hour=16, minute=0).timestamp()) * 1000, 0)
    assert [rate for _, rate, _ in btc[1:4]] == [10_000, 20_000, 30_000]
    eth = source.funding(1, START_MS, source.end_ms)
    assert {(b[0] - a[0]) for a, b in pairwise(eth)} == {8 * HOUR_MS}
    table = source._rows[1]
    first = source._minutes[1]
    for ts, rate, mark in eth[1:4]:
        at = int(np.searchsorted(first, ts // MINUTE_MS)) - 1
        span = table[at - 479 : at + 1, c.PREMIUM] / 1e8
        expected = span.mean() + min(max(0.0001 - span.mean(), -0.0005), 0.0005)
        assert rate / 1e8 == pytest.approx(expected, abs=3e-8)
        assert mark == table[at, c.MARK + 3]


def test_mark_and_index_stay_near_the_last_price(folder):
    source = ReplayMarket(folder)
    spec, table = source.specs[0], source._rows[0]
    last = table[:, c.CLOSE] / 10**spec.price_decimals
    for at in (c.MARK, c.INDEX):
        four = table[:, at : at + 4]
        assert np.all(np.abs(four[:, 3] / 1e8 / last - 1) <= 0.0021)
        assert np.all((four[:, 1] >= four[:, [0, 3]].max(1)) & (four[:, 2] <= four[:, [0, 3]].min(1)))


def test_deriving_prices_looks_at_no_later_bar(folder):
    whole = ReplayMarket(folder)
    path = folder / "main" / "BTCUSDT.parquet"
    table = pq.read_table(path).to_pydict()
    for name in ("open", "high", "low", "close"):
        table[name][4000:] = [round(value * 1.5, 1) for value in table[name][4000:]]
    ts = pa.array(table.pop("ts"), pa.timestamp("ms", tz="UTC"))
    pq.write_table(pa.table({"ts": ts, **table}), path)
    changed = ReplayMarket(folder)
    upto = [c.MARK, c.MARK + 3, c.INDEX, c.INDEX + 3, c.PREMIUM, c.OPEN_INTEREST]
    same = slice(0, 4000)
    assert changed.specs[0].tick == whole.specs[0].tick
    assert not np.array_equal(whole._rows[0][4000], changed._rows[0][4000])
    assert np.array_equal(whole._rows[0][same][:, upto], changed._rows[0][same][:, upto])


def test_the_window_holds_most_symbol_days_and_btc(tmp_path):
    day = 1440
    for name, begin, days in (("BTCUSDT", 0, 10), ("ETHUSDT", 0, 10), ("AUSDT", 4, 5), ("BUSDT", 20, 40)):
        write(tmp_path / f"{name}.parquet", START + timedelta(days=begin), walk(days * day, 1))
    found = read_folder(tmp_path)
    first = START_MS // MINUTE_MS
    assert choose_window(found) == (first, first + 10 * day)
    late = START_MS + 5 * DAY_MS
    assert choose_window(found, late)[0] == late // MINUTE_MS
    with pytest.raises(InvalidInputError, match="market_start"):
        choose_window(found, START_MS - 400 * DAY_MS)


def test_an_impossible_bar_or_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="market"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(InvalidInputError, match="at least one"):
        read_folder(tmp_path)
    table = walk(100, 1)
    table["high"][50] = table["low"][50] / 2
    write(tmp_path / "BTCUSDT.parquet", START, table)
    with pytest.raises(InvalidInputError, match=r"BTCUSDT\.parquet row 50"):
        read_folder(tmp_path)


async def test_a_market_that_ends_stands_still(folder):
    source = ReplayMarket(folder)
    async with (
        exchange(source, history_days=4, speed=3e6) as client,
        client.socket("/market/ws/btcusdt@kline_1m") as ws,
    ):
        while not client.emulator.clock.ended():  # noqa: ASYNC110 - the clock ends by itself
            await asyncio.sleep(0.01)
        assert (await client.get("/fapi/v1/time"))["serverTime"] == source.end_ms
        rows = await client.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=3)
        assert rows[-1][0] == source.end_ms - MINUTE_MS
        assert not ws.closed
