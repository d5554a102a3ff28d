import json
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from packages.common.types import KlineUpdate, MarkTick
from packages.exchange.binance import codec

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "data" / "fixtures"


def fixture(name: str):
    path = FIXTURES / name
    if not path.exists():
        pytest.skip(f"recorded payloads are not here: {name}")
    return json.loads(path.read_text())


def encoded(payload: object) -> bytes:
    return json.dumps(payload).encode()


def rest_payload(name: str) -> bytes:
    return encoded(fixture("binance_net_test_data.json")["rest"][f"ExchangeData/{name}"]["response"])


KLINE_ROW = [
    1607444700000, "18879.99", "18900.00", "18878.98", "18896.13", "492.363", 1607444759999,
    "9302145.66080", 1874, "385.983", "7292402.33267", "0",
]  # fmt: skip
KLINE = {
    "e": "kline", "E": 1638747660011, "s": "BTCUSDT",
    "k": {"t": 1638747600000, "T": 1638747659999, "s": "BTCUSDT", "i": "1m", "f": 100, "L": 200, "o": "0.0010",
          "c": "0.0020", "h": "0.0025", "l": "0.0009", "v": "1000", "n": 100, "x": True, "q": "1.5", "V": "500",
          "Q": "0.500", "B": "123456"},
}  # fmt: skip
MARK = {
    "e": "markPriceUpdate", "E": 1790526539000, "s": "BTCUSDT", "p": "84551.10762319", "ap": "84551.10762319",
    "P": "84559.09090930", "i": "84590.87304348", "r": "0.00000801", "T": 1790553600000, "st": 1,
}  # fmt: skip


def frame(data: object) -> str:
    return json.dumps({"stream": "x", "data": data})


def test_kline_rows_become_records_and_columns():
    rows = codec.decode_klines(encoded([KLINE_ROW]))
    bar = codec.to_bar("BTCUSDT", rows[0])
    assert (bar.ts_ms, bar.open, bar.high, bar.low, bar.close) == (1607444700000, 18879.99, 18900.0, 18878.98, 18896.13)
    assert (bar.volume, bar.quote_volume, bar.trades, bar.taker_buy_volume) == (492.363, 9302145.6608, 1874, 385.983)
    columns = codec.bar_columns(rows)
    assert columns["ts"].dtype == np.int64
    assert columns["close"].tolist() == [18896.13]
    assert {len(c) for c in columns.values()} == {1}


def test_no_rows_still_make_typed_columns():
    columns = codec.price_columns(codec.decode_prices(b"[]"))
    assert list(columns) == ["ts", "open", "high", "low", "close"]
    assert columns["ts"].dtype == np.int64
    assert columns["open"].dtype == np.float64


@pytest.mark.parametrize("name", ["GetMarkPriceKlines", "GetIndexPriceKlines"])
def test_recorded_price_rows_decode(name):
    rows = codec.decode_prices(rest_payload(name))
    assert rows
    assert all(row.low <= row.open <= row.high for row in rows)


def test_recorded_rest_payloads_decode():
    assert codec.decode_klines(rest_payload("GetKlines"))
    assert codec.decode_time(rest_payload("GetServerTime")) == 1499827319559
    settlements = codec.decode_settlements(rest_payload("GetFundingRates"))
    assert settlements[0].ts_ms == 1698768000000
    assert settlements[0].rate == 0.0001
    assert codec.decode_funding_info(rest_payload("GetFundingInfo"))[0].interval_hours == 8
    premium = codec.decode_premium(rest_payload("GetMarkPrice"))
    assert premium[0].mark == 11793.63104562
    assert codec.decode_open_interest(rest_payload("GetOpenInterest")).open_interest == 10659.509
    hist = codec.decode_open_interest_hist(rest_payload("GetOpenInterestHistory"))
    assert hist[0].ts_ms == 1583127900000  # comes as a string there
    brackets = encoded(fixture("binance_net_test_data.json")["rest"]["Account/GetBrackets"]["response"])
    assert codec.decode_brackets(brackets)[0].max_leverage == 75


def test_recorded_streams_decode():
    streams = fixture("binance_net_test_data.json")["ws_stream"]
    pushed = {name: [m["pushed"] for m in messages if "pushed" in m] for name, messages in streams.items()}
    mark = codec.decode_frame(json.dumps(pushed["MarkPrice"][0]))
    assert isinstance(mark, MarkTick)
    assert mark.next_funding_ts_ms == 1562306400000
    recorded = [e["event"] for e in fixture("events_recorded_2026-09.json") if "stream" in e["event"]]
    assert recorded
    for event in recorded:
        assert codec.decode_frame(json.dumps(event)).mark > 0
    for name in ("kline_stream_closed", "kline_stream_open", "mark_price_stream"):
        data = fixture("nautilus_test_data.json")[f"market_data_json/{name}"]
        item = codec.decode_frame(frame(data))
        assert item.event_ts_ms == data["E"]
        assert getattr(item, "closed", True) is ("open" not in name)


def test_other_recorded_events_are_named_not_refused():
    for name, messages in fixture("binance_net_test_data.json")["ws_stream"].items():
        for message in messages:
            if (
                "pushed" not in message
                or name in ("Klines", "MarkPrice")
                or isinstance(message["pushed"]["data"], list)
            ):
                continue
            text = json.dumps(message["pushed"])
            with pytest.raises(codec.msgspec.DecodeError):
                codec.decode_frame(text)
            assert codec.decode_other(text) == message["pushed"]["data"]["e"]


@pytest.mark.parametrize(
    "name",
    [f"exchange_info_{name}.json" for name in ("mainnet_2021-09-06", "testnet_2025-03-06", "testnet_2025-11-26")],
)
def test_recorded_exchange_info_keeps_every_symbol_and_exact_filters(name):
    payload = fixture(name)
    info = codec.decode_exchange_info(encoded(payload))
    assert info.instruments.keys() == {row["symbol"] for row in payload["symbols"]}
    assert info.weight_limit_1m == payload["rateLimits"][0]["limit"]
    for row in payload["symbols"]:
        ticks = [f["tickSize"] for f in row["filters"] if f["filterType"] == "PRICE_FILTER"]
        assert info.instruments[row["symbol"]].tick_size == Decimal(ticks[0])
        [band] = [f for f in row["filters"] if f["filterType"] == "PERCENT_PRICE"]
        found = info.instruments[row["symbol"]]
        assert (found.band_up, found.band_down) == (Decimal(band["multiplierUp"]), Decimal(band["multiplierDown"]))


def test_recorded_brackets_ascend():
    for row in codec.decode_brackets(encoded(fixture("leverage_bracket_mainnet_2026-09.json"))):
        floors = [b.notional_floor for b in row.brackets]
        assert floors == sorted(floors)
        assert row.max_leverage == max(b.initial_leverage for b in row.brackets)


def test_one_bracket_object_and_a_list_of_them_are_the_same():
    low = {
        "bracket": 1,
        "initialLeverage": 75,
        "notionalCap": 5,
        "notionalFloor": 0,
        "maintMarginRatio": 0.005,
        "cum": 0,
    }
    high = low | {"bracket": 2, "initialLeverage": 50, "notionalFloor": 5}
    one = {"symbol": "BTCUSDT", "brackets": [high, low]}
    assert codec.decode_brackets(encoded(one)) == codec.decode_brackets(encoded([one]))
    assert codec.decode_brackets(encoded(one))[0].max_leverage == 75


def test_settlement_times_lose_their_jitter():
    row = {
        "symbol": "BTCUSDT",
        "fundingTime": 1698768000005,
        "fundingRate": "-0.0001",
        "markPrice": "",
        "rateType": "R",
    }
    settlement = codec.decode_settlements(encoded([row]))[0]
    assert settlement.ts_ms == 1698768000000
    assert settlement.mark_price is None


def test_stream_frames_become_records():
    update = codec.decode_frame(frame(KLINE))
    assert isinstance(update, KlineUpdate)
    assert update.closed
    assert (update.bar.symbol, update.bar.ts_ms, update.bar.low, update.bar.quote_volume) == (
        "BTCUSDT", 1638747600000, 0.0009, 1.5,
    )  # fmt: skip
    tick = codec.decode_frame(frame(MARK))
    assert tick == MarkTick("BTCUSDT", 1790526539000, 84551.10762319, 84590.87304348, 0.00000801, 1790553600000)


def test_empty_funding_rate_of_dated_futures_is_nan():
    tick = codec.decode_frame(frame(MARK | {"r": "", "T": 0}))
    assert math.isnan(tick.funding_rate)


@pytest.mark.parametrize("text", ['{"stream":"x","data":{"e":"kline","E":1', "", "[]", "null", "\x00", '{"a":1}}'])
def test_broken_frames_are_told_apart(text):
    with pytest.raises(codec.msgspec.DecodeError):
        codec.decode_frame(text)
    other = codec.decode_other(text)
    assert other is None or isinstance(other, codec.ControlFrame)


@pytest.mark.parametrize("change", [{"p": "abc"}, {"p": None}, {"E": "soon"}, {"s": 5}])
def test_our_events_with_bad_content_are_broken_not_foreign(change):
    text = frame(MARK | change)
    with pytest.raises(codec.msgspec.DecodeError):
        codec.decode_frame(text)
    assert codec.decode_other(text) is None


def test_candles_of_another_interval_are_refused():
    text = frame(KLINE | {"k": KLINE["k"] | {"i": "5m"}})
    with pytest.raises(codec.msgspec.DecodeError, match="5m"):
        codec.decode_frame(text)


def test_answers_to_requests_are_control_frames():
    assert codec.decode_other('{"result":null,"id":1}').error is None
    refused = codec.decode_other('{"error":{"code":2,"msg":"Invalid request"},"id":"x"}')
    assert refused.error["code"] == 2
