import asyncio
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS
from services.emulator import columns
from services.emulator.faults import Fault, Kind
from services.emulator.generator import DEFAULT_START_MS
from services.emulator.limits import PATIENCE
from services.emulator.tests.conftest import UNIVERSE, exchange
from services.emulator.tests.trader import Trader
from services.emulator.venue.switches import Switches

START = DEFAULT_START_MS
NOW = START + 3 * DAY_MS
BTC = {"symbol": "BTCUSDT", "interval": "1m"}
KLINES = "/fapi/v1/klines"


async def test_time_stands_still_on_a_free_clock_that_nobody_reads(still):
    assert await still.get("/fapi/v1/time") == {"serverTime": NOW}
    assert await still.get("/fapi/v1/ping") == {}
    assert await still.get("/api/v3/time") == {"serverTime": NOW}


async def test_the_last_row_is_the_unfinished_candle(still):
    rows = await still.get(KLINES, **BTC, limit=3)
    assert [row[0] for row in rows] == [NOW - 2 * MINUTE_MS, NOW - MINUTE_MS, NOW]
    assert all(row[6] == row[0] + MINUTE_MS - 1 and len(row) == 12 for row in rows)
    assert float(rows[-1][5]) < float(rows[-2][5])
    assert rows[-1][1] == rows[-1][4]  # one instant old: only the open has been seen


async def test_rows_have_the_shapes_of_the_exchange(still):
    row = (await still.get(KLINES, **BTC, limit=1, startTime=START))[0]
    assert [type(x) for x in row] == [int, str, str, str, str, str, int, str, int, str, str, str]
    assert [len(part) for part in row[1].split(".")][1:] == [2]  # printed with the decimals of 0.10
    for path, name in (("markPriceKlines", "symbol"), ("indexPriceKlines", "pair"), ("premiumIndexKlines", "symbol")):
        fine = (await still.get(f"/fapi/v1/{path}", **{name: "BTCUSDT"}, interval="1m", limit=1, startTime=START))[0]
        assert [type(x) for x in fine] == [type(x) for x in row]
        assert [fine[k] for k in (5, 7, 9, 10, 11)] == ["0"] * 5
        assert fine[8] == 10
        assert len(fine[1].split(".")[1]) == 8


async def test_start_counts_upward_and_end_counts_back(still):
    start = START + 600 * MINUTE_MS
    rows = await still.get(KLINES, **BTC, startTime=start + 1, limit=5)
    assert [row[0] for row in rows] == [start + k * MINUTE_MS for k in range(1, 6)]
    rows = await still.get(KLINES, **BTC, endTime=start + 30_000, limit=5)
    assert [row[0] for row in rows] == [start - k * MINUTE_MS for k in range(4, -1, -1)]
    rows = await still.get(KLINES, **BTC, startTime=start, endTime=start + 2 * MINUTE_MS)
    assert [row[0] for row in rows] == [start, start + MINUTE_MS, start + 2 * MINUTE_MS]
    assert len(await still.get(KLINES, **BTC)) == 500
    assert len(await still.get(KLINES, **BTC, startTime=START, limit=9999)) == 1500
    assert await still.get(KLINES, **BTC, startTime=NOW + MINUTE_MS) == []
    assert await still.get(KLINES, **BTC, endTime=START - 1) == []


async def test_pages_join_without_seam(still):
    first = await still.get(KLINES, **BTC, startTime=START, limit=1500)
    second = await still.get(KLINES, **BTC, startTime=first[-1][0] + 1, limit=1500)
    opens = [row[0] for row in first + second]
    assert opens == list(range(START, START + len(opens) * MINUTE_MS, MINUTE_MS))


@pytest.mark.parametrize(("interval", "minutes"), [("5m", 5), ("1h", 60), ("1d", 1440)])
async def test_longer_candles_are_made_of_minutes(still, interval, minutes):
    fine = await still.get(KLINES, **BTC, startTime=START, limit=1500)
    coarse = await still.get(KLINES, symbol="BTCUSDT", interval=interval, startTime=START, limit=1500)
    part = np.array([[float(x) for x in row[1:6]] for row in fine[:minutes]])
    expected = [part[0, 0], part[:, 1].max(), part[:, 2].min(), part[-1, 3], part[:, 4].sum()]
    assert [float(x) for x in coarse[0][1:6]] == pytest.approx(expected, rel=1e-12)
    assert coarse[0][6] == START + minutes * MINUTE_MS - 1
    assert coarse[0][8] == sum(row[8] for row in fine[:minutes])
    assert coarse[1][0] == START + minutes * MINUTE_MS


async def test_weeks_begin_on_monday_and_months_on_the_first(still):
    week = await still.get(KLINES, symbol="BTCUSDT", interval="1w")
    assert [row[0] for row in week] == [START]  # the market begins on a Monday
    month = await still.get(KLINES, symbol="BTCUSDT", interval="1M")
    assert month[0][0] == START - DAY_MS
    assert month[0][6] == START - DAY_MS + 28 * DAY_MS - 1


async def test_continuous_candles_are_those_of_the_perpetual(still):
    path = "/fapi/v1/continuousKlines"
    rows = await still.get(path, pair="ETHUSDT", contractType="PERPETUAL", interval="1m", limit=2)
    assert rows == await still.get(KLINES, symbol="ETHUSDT", interval="1m", limit=2)
    assert await still.get(path, pair="ETHUSDT", contractType="NEXT_QUARTER", interval="1m") == []
    assert len(await still.get(path, pair="XAUUSDT", contractType="TRADIFI_PERPETUAL", interval="1m", limit=2)) == 2


@pytest.mark.parametrize(
    ("path", "params", "code", "status"),
    [
        (KLINES, {"interval": "1m"}, -1102, 400),
        (KLINES, {"symbol": "BTCUSDT"}, -1102, 400),
        (KLINES, {"symbol": "NOPEUSDT", "interval": "1m"}, -1121, 400),
        (KLINES, {"symbol": "BNXUSDT", "interval": "1m"}, -1121, 400),
        (KLINES, {"symbol": "btc/usdt", "interval": "1m"}, -1100, 400),
        (KLINES, {"symbol": "BTCUSDT", "interval": "7m"}, -1120, 400),
        (KLINES, {**BTC, "limit": "0"}, -1130, 400),
        (KLINES, {**BTC, "limit": "x"}, -1100, 400),
        (KLINES, {**BTC, "startTime": "soon"}, -1100, 400),
        (KLINES, {**BTC, "startTime": "2", "endTime": "1"}, -1023, 400),
        ("/fapi/v1/indexPriceKlines", {"symbol": "BTCUSDT", "interval": "1m"}, -1102, 400),
        ("/fapi/v1/continuousKlines", {"pair": "BTCUSDT", "contractType": "X", "interval": "1m"}, -1130, 400),
        ("/fapi/v1/openInterest", {"symbol": "ALPHAUSDT"}, -4108, 400),
        ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "7"}, -4021, 400),
        ("/futures/data/openInterestHist", {"symbol": "BTCUSDT", "period": "1m"}, -1130, 400),
        ("/futures/data/openInterestHist", {"symbol": "BTCUSDT", "period": "5m", "startTime": "1"}, -1130, 400),
        ("/fapi/v1/nothing", {}, -5000, 404),
    ],
)
async def test_errors_carry_the_exchanges_numbers(still, path, params, code, status):
    body = await still.get(path, **params)
    assert (body["code"], still.status) == (code, status)
    assert isinstance(body["msg"], str)


async def test_weight_is_counted_and_shown(source):
    async with exchange(source, speed=1.0) as client:
        seen = []
        for params in ({"limit": 99}, {"limit": 100}, {"limit": 1000}, {"limit": 1500}, {}):
            await client.get(KLINES, **BTC, **params)
            seen.append(int(client.headers["X-MBX-USED-WEIGHT-1M"]))
        if seen == sorted(seen):  # all within one minute of the window
            assert np.diff([0, *seen]).tolist() == [1, 2, 5, 10, 5]
        await client.get("/fapi/v1/premiumIndex")
        before = int(client.headers["X-MBX-USED-WEIGHT-1M"])
        await client.get("/fapi/v1/fundingRate", symbol="BTCUSDT")
        assert int(client.headers["X-MBX-USED-WEIGHT-1M"]) in (before, 0)


async def test_too_many_requests_are_refused_and_then_banned(source):
    async with exchange(source, speed=1.0, weight_per_minute=30) as client:
        codes = []
        while 418 not in codes and len(codes) < 60:
            body = await client.get(KLINES, **BTC, limit=1500)
            codes.append(client.status)
        assert codes.count(429) == PATIENCE
        assert body["code"] == -1003
        assert "banned until" in body["msg"]
        assert int(client.headers["Retry-After"]) > 0
        await client.get("/fapi/v1/ping")
        assert client.status == 418


async def test_windows_follow_market_time(source):
    async with exchange(source, speed=6000.0, weight_per_minute=30) as client:  # a minute in ten milliseconds
        for _ in range(8):
            await client.get(KLINES, **BTC, limit=1500)
            assert client.status == 200
            await asyncio.sleep(0.011)


async def test_exchange_info_has_the_recorded_shape(still, fixtures):
    recorded = fixtures("exchange_info_testnet_2025-11-26.json")
    info = await still.get("/fapi/v1/exchangeInfo")
    assert set(info) == set(recorded)
    assert [set(x) for x in info["rateLimits"]] == [set(x) for x in recorded["rateLimits"]]
    theirs = next(s for s in recorded["symbols"] if s["symbol"] == "BTCUSDT")
    ours = next(s for s in info["symbols"] if s["symbol"] == "BTCUSDT")
    assert set(theirs) - set(ours) == set()
    assert set(ours) - set(theirs) <= {"settlePlan"}
    assert {k: type(v) for k, v in ours.items() if k in theirs} == {k: type(v) for k, v in theirs.items()}
    for filter_ in theirs["filters"]:
        mine = [f for f in ours["filters"] if f["filterType"] == filter_["filterType"]]
        if filter_["filterType"] == "MAX_NUM_ALGO_ORDERS":  # gone since 2025-12-29
            assert mine == []
        else:
            assert set(mine[0]) == set(filter_) - ({"multiplierDecimal"} - set(mine[0]))


async def test_contracts_are_listed_with_their_state(still):
    symbols = {s["symbol"]: s for s in (await still.get("/fapi/v1/exchangeInfo"))["symbols"]}
    assert symbols["ALPHAUSDT"]["status"] == "SETTLING"
    assert symbols["ALPHAUSDT"]["deliveryDate"] < NOW
    assert symbols["BTCUSDT"]["deliveryDate"] == 4133404800000
    assert symbols["XAUUSDT"]["contractType"] == "TRADIFI_PERPETUAL"
    assert "BNXUSDT" not in symbols
    assert "WLFIUSDT" not in symbols  # listed on the ninth day


async def test_a_listing_appears_and_a_delisting_is_announced_and_settles(source):
    async with exchange(source, history_days=13) as client:
        symbols = {s["symbol"]: s for s in (await client.get("/fapi/v1/exchangeInfo"))["symbols"]}
        assert symbols["WLFIUSDT"]["status"] == "TRADING"
        assert symbols["WLFIUSDT"]["onboardDate"] == START + 8 * DAY_MS
        assert symbols["LAYERUSDT"]["status"] == "SETTLING"
        rows = await client.get(KLINES, symbol="LAYERUSDT", interval="1m", limit=2)
        assert rows[-1][0] == START + 12 * DAY_MS + 9 * HOUR_MS - MINUTE_MS
        rows = await client.get(KLINES, symbol="WLFIUSDT", interval="1m", startTime=START, limit=2)
        assert rows[0][0] == START + 8 * DAY_MS
    async with exchange(source, history_days=10) as client:
        symbols = {s["symbol"]: s for s in (await client.get("/fapi/v1/exchangeInfo"))["symbols"]}
        assert symbols["LAYERUSDT"]["status"] == "TRADING"
        assert symbols["LAYERUSDT"]["deliveryDate"] == START + 12 * DAY_MS + 9 * HOUR_MS


async def test_brackets_have_the_recorded_shape_and_a_continuous_margin(still, fixtures):
    recorded = fixtures("leverage_bracket_mainnet_2026-09.json")
    every = await still.get("/fapi/v1/leverageBracket")
    assert set(every[0]) >= set(recorded[0])
    assert set(every[0]["brackets"][0]) == set(recorded[0]["brackets"][0])
    for item in every:
        brackets = item["brackets"]
        for below, above in pairwise(brackets):
            cap = below["notionalCap"]
            assert above["notionalFloor"] == cap
            assert cap * below["maintMarginRatio"] - below["cum"] == pytest.approx(
                cap * above["maintMarginRatio"] - above["cum"], rel=1e-9
            )
    assert await still.get("/fapi/v1/leverageBracket", symbol="ETHUSDT") == every[1]


async def test_brackets_are_for_holders_of_a_key_when_the_switch_says_so(source):
    async with exchange(source, switches=Switches(public_brackets=False)) as client:
        trader = Trader(client)
        assert (await client.get("/fapi/v1/leverageBracket"))["code"] == -2014
        assert (await trader.send("GET", "/fapi/v1/leverageBracket", signed=False))["code"] == -1102
        assert (await trader.get("leverageBracket", symbol="ETHUSDT"))["symbol"] == "ETHUSDT"


async def test_the_size_of_the_book_tells_nothing_of_the_minute_it_stands_in(source, still):
    market, spec = still.emulator.market, still.emulator.market.specs[1]
    for number in (NOW // MINUTE_MS, NOW // MINUTE_MS + 1, START // MINUTE_MS + 2 * 1440):  # the last: across a day
        numbers, rows = market.rows(1, number - 1, number)
        assert list(numbers) == [number - 1]
        assert market.minute(number).lots[1] == max(int(rows[0, columns.VOLUME]) // spec.step_units // 200, 1)
    book = await still.get("/fapi/v1/ticker/bookTicker", symbol=spec.symbol)
    depth = await still.get("/fapi/v1/depth", symbol=spec.symbol, limit=5)
    lots = market.minute(still.emulator.clock.now_ms() // MINUTE_MS).lots[1]
    assert float(book["bidQty"]) == float(depth["asks"][0][1]) == pytest.approx(lots * float(spec.step))
    assert still.emulator.trading.venue.quote_of(spec.symbol).lot == Decimal(book["askQty"])


async def test_premium_index_agrees_with_mark_candles_and_with_the_recorded_shape(still, fixtures):
    recorded = fixtures("binance_net_test_data.json")["rest"]["ExchangeData/GetMarkPrice"]
    row = await still.get("/fapi/v1/premiumIndex", symbol="BTCUSDT")
    assert set(row) == set(_payload(recorded))
    mark = await still.get("/fapi/v1/markPriceKlines", **BTC, limit=1)
    index = await still.get("/fapi/v1/indexPriceKlines", pair="BTCUSDT", interval="1m", limit=1)
    assert (row["markPrice"], row["indexPrice"]) == (mark[0][4], index[0][4])
    assert row["nextFundingTime"] == NOW + 8 * HOUR_MS
    every = await still.get("/fapi/v1/premiumIndex")
    assert {r["symbol"] for r in every} == {*UNIVERSE, "LAYERUSDT"} - {"ALPHAUSDT", "BNXUSDT"}


def _payload(recorded):
    """The object within a recorded answer, whatever wraps it."""
    import json

    body = recorded
    while not (isinstance(body, dict) and "symbol" in body):
        if isinstance(body, str):
            body = json.loads(body)
        elif isinstance(body, list):
            body = body[0]
        else:
            body = next(v for v in body.values() if isinstance(v, dict | list))
    return body


async def test_other_answers_have_the_recorded_keys(still, fixtures):
    recorded = fixtures("binance_net_test_data.json")["rest"]
    oi = await still.get("/fapi/v1/openInterest", symbol="BTCUSDT")
    assert set(oi) == set(_payload(recorded["ExchangeData/GetOpenInterest"]))
    hist = await still.get("/futures/data/openInterestHist", symbol="BTCUSDT", period="5m", limit=10)
    assert set(_payload(recorded["ExchangeData/GetOpenInterestHistory"])) <= set(hist[0])
    assert [row["timestamp"] for row in hist] == [NOW - k * 300_000 for k in range(9, -1, -1)]
    day = await still.get("/fapi/v1/ticker/24hr", symbol="BTCUSDT")
    assert set(_payload(recorded["ExchangeData/GetTicker"])) - set(day) == set()
    book = await still.get("/fapi/v1/ticker/bookTicker", symbol="BTCUSDT")
    assert set(_payload(recorded["ExchangeData/GetBookPrice"])) <= {*book, "lastUpdateId", "pair"}
    assert float(book["bidPrice"]) < float(book["askPrice"])


async def test_funding_rates_ascend_and_carry_their_jitter(still):
    rows = await still.get("/fapi/v1/fundingRate", symbol="PUMPUSDT", startTime=START, limit=1000)
    times = [row["fundingTime"] for row in rows]
    assert times == sorted(times)
    assert [round(ts / HOUR_MS) for ts in times] == [START // HOUR_MS + k for k in range(1, 72)] + (
        [NOW // HOUR_MS] if times[-1] >= NOW else []
    )
    assert all(0 <= ts % HOUR_MS < 10 for ts in times)
    assert len({ts % HOUR_MS for ts in times}) > 3
    assert set(rows[0]) == {"symbol", "fundingRate", "fundingTime", "markPrice", "rateType"}
    later = await still.get("/fapi/v1/fundingRate", symbol="PUMPUSDT", startTime=times[4], limit=3)
    assert later == rows[4:7]
    latest = await still.get("/fapi/v1/fundingRate", symbol="PUMPUSDT", limit=2)
    assert latest == rows[-2:]
    every = await still.get("/fapi/v1/fundingRate", limit=50)
    assert {row["symbol"] for row in every} > {"PUMPUSDT"}
    info = {row["symbol"]: row for row in await still.get("/fapi/v1/fundingInfo")}
    assert info["PUMPUSDT"]["fundingIntervalHours"] == 1


async def test_the_day_ticker_counts_the_last_day(still):
    day = await still.get("/fapi/v1/ticker/24hr", symbol="ETHUSDT")
    rows = await still.get(KLINES, symbol="ETHUSDT", interval="1m", limit=1440)
    assert float(day["volume"]) == pytest.approx(sum(float(r[5]) for r in rows), rel=1e-12)
    assert float(day["highPrice"]) == max(float(r[2]) for r in rows)
    assert (day["openPrice"], day["lastPrice"]) == (rows[0][1], rows[-1][4])


async def test_an_unavailable_service_and_its_end(source):
    async with exchange(source) as client:
        fault = Fault(Kind.REST_503, NOW, NOW + 1)
        client.emulator.faults.add(fault)
        body = await client.get("/fapi/v1/ping")
        assert (client.status, body) == (503, {"msg": "Service Unavailable."})
        client.emulator.faults.clear()
        assert await client.get("/fapi/v1/ping") == {}
