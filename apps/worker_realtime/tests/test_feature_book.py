"""The book advances states in the order an offline fold has, whatever order records come in."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.worker_realtime.feature_book import FeatureBook, bar_vector
from packages.common.types import Bar, MinuteRecord, OhlcBar
from services.features import kernel

T0 = 1_750_000_020_000 // 60_000 * 60_000
SYMBOLS = ("BTCUSDT", "ETHUSDT", "XRPUSDT")


def record(symbol: str, minute: int, price: float, rate: float = math.nan) -> MinuteRecord:
    ts = T0 + minute * 60_000
    bar = Bar(symbol, ts, price, price * 1.001, price * 0.999, price * 1.0003, 10.0, 10.0 * price)
    mark = OhlcBar(symbol, ts, price, price * 1.0012, price * 0.9991, price * 1.0002, 10)
    return MinuteRecord(bar, mark, mark, rate, math.nan, 0, ts + 60_000)


def market(n: int, seed: int = 3) -> dict[str, list[MinuteRecord]]:
    rng = np.random.default_rng(seed)
    prices = 100.0 * np.exp(np.cumsum(rng.normal(0, 1e-3, (n, len(SYMBOLS))), axis=0))
    return {
        symbol: [record(symbol, i, float(prices[i, s]), 1e-4 if i % 60 == 0 else math.nan) for i in range(n)]
        for s, symbol in enumerate(SYMBOLS)
    }


def offline(records: dict[str, list[MinuteRecord]]) -> dict[str, np.ndarray]:
    """Each symbol folded alone over its whole history, market rows looked up by time."""
    btc = np.array([bar_vector(r) for r in records["BTCUSDT"]])
    rows = kernel.btc_fold(btc[:, 0].copy(), btc[:, kernel.BAR_CLOSE].copy(), np.zeros(kernel.MARKET_SIZE))
    by_ts = dict(zip(btc[:, 0], rows, strict=True))
    out = {}
    for symbol, series in records.items():
        bars = np.array([bar_vector(r) for r in series])
        market_rows = np.array([by_ts.get(t, np.full(3, np.nan)) for t in bars[:, 0]])
        out[symbol] = kernel.fold(bars, market_rows, np.zeros(kernel.STATE_SIZE))
    return out


def collect(minutes, into: dict[tuple[str, int], np.ndarray]) -> None:
    for minute in minutes:
        for s, r in minute.records.items():
            if minute.advanced[s]:
                into[r.bar.symbol, r.bar.ts_ms] = minute.rows[s].copy()


def assert_equal(got: dict[tuple[str, int], np.ndarray], records: dict[str, list[MinuteRecord]]) -> None:
    expected = offline(records)
    assert len(got) == sum(len(series) for series in records.values())
    for symbol, series in records.items():
        for i, r in enumerate(series):
            np.testing.assert_array_equal(got[symbol, r.bar.ts_ms], expected[symbol][i])


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_any_delivery_order_across_symbols_gives_the_offline_rows(data: st.DataObject) -> None:
    records = market(90)
    book, got = FeatureBook(SYMBOLS), {}
    queues = {symbol: list(series) for symbol, series in records.items()}
    while any(queues.values()):
        symbol = data.draw(st.sampled_from([s for s in SYMBOLS if queues[s]]))
        k = data.draw(st.integers(1, 30))
        batch, queues[symbol] = queues[symbol][:k], queues[symbol][k:]
        collect(book.push(batch + batch[-1:]), got)  # the last one twice: delivery may repeat
    assert book.waiting == 0
    assert_equal(got, records)


def test_others_wait_for_bitcoin_and_go_on_without_it_once_it_is_given_up() -> None:
    records = market(10)
    book, got = FeatureBook(SYMBOLS), {}
    collect(book.push([records[s][i] for i in range(5) for s in SYMBOLS]), got)
    assert book.push([records["ETHUSDT"][5], records["XRPUSDT"][5]]) == []
    assert book.waiting == 2
    collect(book.give_up("BTCUSDT", T0 + 5 * 60_000), got)
    assert book.waiting == 0
    assert np.isnan(got["ETHUSDT", T0 + 5 * 60_000][14:17]).all()
    collect(book.push([records[s][i] for i in range(6, 10) for s in SYMBOLS]), got)
    without = records | {"BTCUSDT": records["BTCUSDT"][:5] + records["BTCUSDT"][6:]}
    assert_equal(got, without)


@pytest.mark.parametrize("cut", [1, 37, 88])
def test_a_restart_from_the_states_goes_on_bit_for_bit(cut: int) -> None:
    records = market(90)
    first, got = FeatureBook(SYMBOLS), {}
    collect(first.push([records[s][i] for i in range(cut) for s in SYMBOLS]), got)
    second = FeatureBook(SYMBOLS)
    second.states[:], second.market[:] = first.states, first.market
    second.resume()
    collect(second.push([records[s][i] for i in range(cut, 90) for s in SYMBOLS]), got)
    assert_equal(got, records)
