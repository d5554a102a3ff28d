import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packages.common.errors import VenueUnavailableError
from packages.common.time import DAY_MS, MINUTE_MS
from services.collector.bootstrap import bootstrap_history
from services.collector.core.columns import holes, keep, merged, sound_rows
from services.collector.tests.fakes import FUNDING_EVERY, T0, FakeVenue, bar, instrument, prices

START = T0 - 4_000 * MINUTE_MS
SYMBOLS = ["BTCUSDT", "ETHUSDT"]


class MemorySink:
    def __init__(self) -> None:
        self.columns: dict[tuple[str, str], list[dict]] = {}
        self.rows: dict[str, list] = {}

    async def write_columns(self, dataset, symbol, columns) -> None:
        self.columns.setdefault((dataset, symbol), []).append(columns)

    async def write_rows(self, table, rows) -> None:
        self.rows.setdefault(table, []).extend(rows)

    def ts(self, dataset: str, symbol: str) -> list[int]:
        return [int(t) for part in self.columns.get((dataset, symbol), []) for t in part["ts"]]

    def column(self, dataset: str, symbol: str, name: str) -> list[float]:
        return [float(v) for part in self.columns[dataset, symbol] for v in part[name]]


def every_minute(start: int = START, end: int = T0) -> list[int]:
    return list(range(start, end, MINUTE_MS))


async def test_everything_of_every_symbol_is_stored_once_in_order():
    venue, sink = FakeVenue(SYMBOLS, T0 + 30_000), MemorySink()
    told: list[float] = []
    report = await bootstrap_history(venue, SYMBOLS, START + 1 - MINUTE_MS, T0 + DAY_MS, sink, progress=lambda f, _: told.append(f))  # fmt: skip  # noqa: E501
    for symbol in SYMBOLS:
        for dataset in ("candles_1m", "mark_candles_1m", "index_candles_1m"):
            assert sink.ts(dataset, symbol) == every_minute()
        assert sink.column("candles_1m", symbol, "close") == [bar(symbol, ts).close for ts in every_minute()]
        assert sink.column("mark_candles_1m", symbol, "low") == [prices(symbol, ts)[2] for ts in every_minute()]
        assert all(t % FUNDING_EVERY == 0 for t in sink.ts("funding_rates", symbol))
        assert len(sink.ts("funding_rates", symbol)) == (T0 - 1) // FUNDING_EVERY - (START - 1) // FUNDING_EVERY
        assert len(sink.ts("open_interest", symbol)) == 800
    assert (report.gaps, report.refused) == ([], {})
    assert report.rows["candles_1m"] == 8_000
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert [r["symbol"] for r in sink.rows["leverage_brackets"]] == SYMBOLS
    assert sink.rows["leverage_brackets"][0]["brackets"][0]["maintMarginRatio"] == 0.004
    assert sink.rows["exchange_info_snapshots"][0]["info"] == {"symbol": "BTCUSDT"}


async def test_a_killed_run_goes_on_where_it_stopped():
    venue, sink = FakeVenue(SYMBOLS, T0), MemorySink()
    asked = 0
    ask = venue._ask

    def failing(*what) -> None:
        nonlocal asked
        asked += 1
        if asked > 9:
            raise VenueUnavailableError("gone")
        ask(*what)

    venue._ask = failing
    with pytest.raises(VenueUnavailableError):
        await bootstrap_history(venue, SYMBOLS, START, T0, sink, pages_per_write=1)
    venue._ask = ask
    stored = {key: max(int(part["ts"][-1]) for part in parts) for key, parts in sink.columns.items()}
    assert stored
    resume = {key: ts + MINUTE_MS for key, ts in stored.items()}
    await bootstrap_history(venue, SYMBOLS, START, T0, sink, resume_from=resume)
    for symbol in SYMBOLS:
        for dataset in ("candles_1m", "mark_candles_1m", "index_candles_1m"):
            assert sink.ts(dataset, symbol) == every_minute()


async def test_missing_minutes_are_asked_again_and_then_reported():
    venue, sink = FakeVenue(SYMBOLS, T0), MemorySink()
    hole = every_minute()[2_000:2_005]
    venue.absent = {("ETHUSDT", ts) for ts in hole}
    report = await bootstrap_history(venue, SYMBOLS, START, T0, sink)
    assert sink.ts("candles_1m", "ETHUSDT") == [ts for ts in every_minute() if ts not in hole]
    gaps = {(g.symbol, g.dataset, g.from_ts_ms, g.to_ts_ms, g.missing_bars, g.status) for g in report.gaps}
    assert gaps == {
        ("ETHUSDT", f"{kind}candles_1m", hole[0], hole[-1], 5, "unavailable") for kind in ("", "mark_", "index_")
    }
    assert venue.asked.count(("klines", "ETHUSDT", hole[0], hole[-1] + MINUTE_MS)) == 1
    assert len(sink.rows["data_gaps"]) == 3


async def test_a_listing_in_the_middle_is_not_a_gap():
    venue, sink = FakeVenue(SYMBOLS, T0), MemorySink()
    listed = T0 - 100 * MINUTE_MS
    venue.listed["ETHUSDT"] = instrument("ETHUSDT", onboard_ts_ms=listed - 2_000 * MINUTE_MS - 1)
    venue.absent = {("ETHUSDT", ts) for ts in every_minute(end=listed)}  # the first trade comes later than it says
    report = await bootstrap_history(venue, SYMBOLS, START, T0, sink)
    assert sink.ts("candles_1m", "ETHUSDT") == every_minute(listed)
    assert report.gaps == []


async def test_what_the_exchange_has_not_is_noted():
    venue, sink = FakeVenue(SYMBOLS, T0), MemorySink()
    venue.no_index = {"ETHUSDT"}
    report = await bootstrap_history(venue, [*SYMBOLS, "GONEUSDT"], START, T0, sink)
    assert set(report.refused) == {("index_candles_1m", "ETHUSDT"), ("candles_1m", "GONEUSDT")}
    assert sink.ts("mark_candles_1m", "ETHUSDT") == every_minute()


def test_unsound_rows_are_left_out():
    good = {"ts": 0, "open": 2.0, "high": 3.0, "low": 1.0, "close": 2.0, "volume": 1.0, "quote_volume": 1.0}
    bad = [
        {"open": np.nan}, {"high": 0.5}, {"low": -1.0}, {"close": 9.0}, {"volume": -1.0}, {"quote_volume": np.nan},
        {"ts": 5}, {"high": np.inf},
    ]  # fmt: skip
    rows = [good, *(good | change for change in bad)]
    columns = {n: np.array([r[n] for r in rows], np.int64 if n == "ts" else np.float64) for n in good}
    assert sound_rows(columns).tolist() == [True] + [False] * len(bad)
    assert len(keep(columns, sound_rows(columns))["ts"]) == 1


@given(st.sets(st.integers(0, 30)))
def test_holes_are_exactly_what_is_missing(present):
    ts = np.array(sorted(present), np.int64) * MINUTE_MS
    missing = [n for first, last in holes(ts, 0, 31 * MINUTE_MS) for n in range(first // MINUTE_MS, last // MINUTE_MS + 1)]  # fmt: skip  # noqa: E501
    assert missing == [n for n in range(31) if n not in present]


def test_parts_merge_without_repeating_a_minute():
    a = {"ts": np.array([1, 2, 4]), "x": np.array([1.0, 2.0, 4.0])}
    b = {"ts": np.array([2, 3]), "x": np.array([9.0, 3.0])}
    assert merged([a, b])["x"].tolist() == [1.0, 2.0, 3.0, 4.0]
