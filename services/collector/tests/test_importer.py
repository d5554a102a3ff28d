"""Files into the store: every layout of the archive, our own columns, and everything that can be wrong with them."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.common.errors import InvalidInputError
from packages.common.store import ResearchStore
from packages.common.time import HOUR_MS, MINUTE_MS
from services.collector.archive import discover
from services.collector.importer import import_files, summary
from services.collector.tests.archives import (
    FUNDING_HEADER,
    KLINE_HEADER,
    MAY,
    METRICS_HEADER,
    funding_rows,
    kline,
    lines,
    put_zip,
)
from services.training.market import VERSION

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
MONTH = "klines/BTCUSDT/1m/BTCUSDT-1m-2025-05.zip"


@pytest.fixture
def store(tmp_path):
    return ResearchStore(f"file://{tmp_path}/store")


def bring(store, *paths, **options):
    """The import of one unit: its report."""
    report = import_files(store, paths, **options)
    assert len(report.units) == 1, report.units
    return report.units[0]


def read(store, dataset="candles_1m", symbol="BTCUSDT"):
    return store.read(dataset, VERSION, symbol)


def minutes(columns):
    return ((columns["ts"] - MAY) // MINUTE_MS).tolist()


# --- layouts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [KLINE_HEADER, None])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("scale", [1, 1000])
def test_a_month_of_klines_with_or_without_header_in_either_unit(store, tmp_path, header, end, scale):
    rows = [kline(m, scale=scale) for m in range(50)]
    unit = bring(store, put_zip(tmp_path / "um" / MONTH, lines(rows, header, end)))
    assert (unit.status, unit.rows, unit.new_rows, unit.verified, unit.quarantined) == ("imported", 50, 50, 1, {})
    stored = read(store)
    assert minutes(stored) == list(range(50))
    expected = np.array([kline(m) for m in range(50)], float)
    for name, at in {"open": 1, "high": 2, "low": 3, "close": 4, "volume": 5, "quote_volume": 7, "trades": 8}.items():
        np.testing.assert_array_equal(stored[name], expected[:, at])
    np.testing.assert_array_equal(stored["taker_buy_quote_volume"], expected[:, 10])


def test_daily_files_header_mixed_make_one_month_and_repeat_the_monthly_one(store, tmp_path):
    day = 1440
    put_zip(tmp_path / "daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-05-01.zip", lines([kline(m) for m in range(day)]))
    put_zip(
        tmp_path / "daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-05-02.zip",
        lines([kline(m) for m in range(day, 2 * day)], KLINE_HEADER),
    )
    put_zip(tmp_path / "monthly" / MONTH, lines([kline(m) for m in range(3 * day)]))
    unit = bring(store, tmp_path / "daily", tmp_path / "monthly")
    assert (len(unit.files), unit.rows, unit.duplicates, unit.new_rows) == (3, 5 * day, 2 * day, 3 * day)
    assert minutes(read(store)) == list(range(3 * day))


def test_mark_and_index_come_from_their_folders_and_premium_is_left_out_with_words(store, tmp_path):
    for kind in ("markPriceKlines", "indexPriceKlines", "premiumIndexKlines"):
        rows = [kline(m, volume=0, quote_volume=0, trades=0) for m in range(10)]
        put_zip(tmp_path / "a" / kind / "BTCUSDT" / "1m" / "BTCUSDT-1m-2025-05.zip", lines(rows))
    put_zip(tmp_path / "a" / "aggTrades" / "BTCUSDT-aggTrades-2025-05.zip", "1,2,3\n")
    put_zip(tmp_path / "a" / "klines" / "BTCUSDT-5m-2025-05.zip", "1,2,3\n")
    report = import_files(store, [tmp_path / "a"])
    assert {u.dataset for u in report.units} == {"mark_candles_1m", "index_candles_1m"}
    assert sorted(read(store, "mark_candles_1m")) == ["close", "high", "low", "open", "ts"]
    words = " ".join(why for _, why in report.skipped)
    assert "premiumIndexKlines are not stored" in words
    assert "aggTrades is not stored" in words
    assert "bars of 5m" in words


def test_funding_loses_its_jitter_and_keeps_its_changing_interval(store, tmp_path):
    hours = [8] * 6 + [4] * 6 + [1] * 6
    put_zip(tmp_path / "fundingRate/BTCUSDT-fundingRate-2025-05.zip", lines(funding_rows(hours), FUNDING_HEADER))
    unit = bring(store, tmp_path / "fundingRate")
    stored = read(store, "funding_rates")
    assert (unit.rows, unit.quarantined) == (19, {})
    assert (np.diff(stored["ts"]) // HOUR_MS).tolist() == hours
    assert (stored["ts"] % HOUR_MS == 0).all()
    assert np.isnan(stored["mark_price"]).all()


def test_metrics_become_open_interest(store, tmp_path):
    rows = [
        [f"2025-05-01 00:{m:02d}:00", "BTCUSDT", 10.5 + m, 1e6, 1, 1, 1, 1] for m in (0, 5, 5, 15)
    ]  # repeated, one missing
    put_zip(tmp_path / "metrics/BTCUSDT-metrics-2025-05-01.zip", lines(rows, METRICS_HEADER))
    unit = bring(store, tmp_path / "metrics")
    stored = read(store, "open_interest")
    assert (unit.duplicates, minutes(stored), stored["open_interest"].tolist()) == (1, [0, 5, 15], [10.5, 15.5, 25.5])


def own(n=30, **extra):
    rows = np.array([kline(m) for m in range(n)], float)
    columns = {"open": rows[:, 1], "high": rows[:, 2], "low": rows[:, 3], "close": rows[:, 4], "volume": rows[:, 5]}
    return {"ts": rows[:, 0].astype("datetime64[ms]"), **columns, **extra}


def test_parquet_and_csv_with_our_names_are_equal_and_lack_nothing(store, tmp_path):
    columns = own()
    pq.write_table(pa.table(columns), tmp_path / "BTCUSDT.parquet")
    text = ["ts,open,high,low,close,volume"]
    for i in range(30):
        text.append(f"{columns['ts'][i]}Z," + ",".join(repr(float(columns[n][i])) for n in text[0].split(",")[1:]))
    (tmp_path / "ETHUSDT_2025-05.csv").write_text("\n".join(text))
    report = import_files(store, [tmp_path])
    assert [u.error for u in report.units] == [None, None]
    btc, eth = read(store), read(store, symbol="ETHUSDT")
    for name, values in btc.items():
        np.testing.assert_array_equal(values, eth[name])
    np.testing.assert_array_equal(btc["quote_volume"], btc["volume"] * btc["close"])  # D5
    assert np.isnan(btc["trades"]).all()


def test_a_column_of_symbols_makes_several(store, tmp_path):
    times = pa.array([MAY, MAY, MAY + HOUR_MS], pa.timestamp("ms", tz="UTC"))
    table = {"symbol": ["A1USDT", "B1USDT", "A1USDT"], "ts": times, "funding_rate": [1e-4, 2e-4, 3e-4]}
    pq.write_table(pa.table(table), tmp_path / "_many.parquet")
    report = import_files(store, [tmp_path / "_many.parquet"])
    assert [(u.symbol, u.new_rows) for u in report.units] == [("A1USDT", 2), ("B1USDT", 1)]
    assert [u.status for u in import_files(store, [tmp_path / "_many.parquet"]).units] == ["unchanged"] * 2


# --- what is wrong with rows ----------------------------------------------------------------------------------------

BAD = {
    "NAN_PRICE": {"open": "NaN"},
    "BAD_PRICE": {"low": -1.0},
    "HIGH_BELOW_LOW": {"high": 50.0},
    "OUTSIDE_RANGE": {"close": 300.0},
    "NAN_VOLUME": {"volume": ""},
    "NEGATIVE_VOLUME": {"volume": -1.0},
    "MISALIGNED_BAR": {"ts": MAY + 20 * MINUTE_MS + 1},
    "BAD_TIME": {"ts": 1},
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_row_is_set_aside_with_its_reason_and_the_rest_goes_in(store, tmp_path, reason):
    rows = [kline(m) for m in range(20)] + [kline(20, **BAD[reason])] + [kline(m) for m in range(21, 40)]
    unit = bring(store, put_zip(tmp_path / MONTH, lines(rows, KLINE_HEADER)))
    assert unit.quarantined == {reason: 1}
    assert minutes(read(store)) == [m for m in range(40) if m != 20]
    (aside,) = (tmp_path / "store/objects/quarantine").rglob("*.jsonl")
    row = json.loads(aside.read_text())
    assert (row["row"], row["reason"], row["file"]) == (21, reason, "BTCUSDT-1m-2025-05.zip")


def test_text_where_a_number_belongs_and_rows_cut_short_do_not_stop_the_file(store, tmp_path):
    rows = [kline(m) for m in range(10)]
    rows[3][1] = "abc"
    rows[6] = rows[6][:5]
    unit = bring(store, put_zip(tmp_path / MONTH, lines(rows)))
    assert unit.quarantined == {"CELLS": 1, "NAN_PRICE": 1}
    assert minutes(read(store)) == [0, 1, 2, 4, 5, 7, 8, 9]
    found = summary(import_files(store, [tmp_path / MONTH]))
    assert not found["ok"]
    assert found["datasets"]["candles_1m"]["quarantined"] == 2  # told again, though nothing had to be done


def test_missing_rows_are_gaps_and_disorder_is_sorted(store, tmp_path):
    order = [0, 1, 2, 9, 8, 7, 3, 4]
    report = import_files(store, [put_zip(tmp_path / MONTH, lines([kline(m) for m in order]))])
    assert (report.units[0].unsorted, minutes(read(store))) == (3, sorted(order))
    gap = report.gaps["candles_1m/BTCUSDT"]
    assert (gap["gaps"], gap["missing_minutes"]) == (1, 2)
    assert gap["longest"] == [{"from": "2025-05-01T00:05:00.000Z", "to": "2025-05-01T00:06:00.000Z"}]


def test_unequal_repetition_is_refused_by_name_and_leaves_no_trace_unless_the_last_wins(store, tmp_path):
    rows = [*(kline(m) for m in range(10)), kline(4, close=106.0)]
    path = put_zip(tmp_path / MONTH, lines(rows))
    unit = bring(store, path)
    assert unit.status == "refused"
    assert "close at 2025-05-01T00:04:00.000Z, row 11 of BTCUSDT-1m-2025-05.zip: got 106.0" in unit.error
    assert store.symbols("candles_1m", VERSION) == ()
    unit = bring(store, path, last_wins=True)
    assert (unit.status, unit.duplicates, read(store)["close"][4]) == ("imported", 1, 106.0)


def test_what_is_stored_is_final_unless_the_last_wins(store, tmp_path):
    bring(store, put_zip(tmp_path / "a" / MONTH, lines([kline(m) for m in range(10)])))
    revised = put_zip(tmp_path / "b" / MONTH, lines([kline(m, volume=3.0 + (m == 7)) for m in range(12)]))
    unit = bring(store, revised)
    assert unit.status == "refused"
    assert "volume at 2025-05-01T00:07:00.000Z, row 8" in unit.error
    assert minutes(read(store)) == list(range(10))
    unit = bring(store, revised, last_wins=True)
    assert (unit.replaced, unit.new_rows, read(store)["volume"][7]) == (1, 2, 4.0)


def test_fuller_files_complete_poorer_ones_in_either_order(tmp_path):
    pq.write_table(pa.table(own(10)), tmp_path / "BTCUSDT.parquet")
    full = put_zip(tmp_path / MONTH, lines([kline(m) for m in range(10)]))
    both = []
    for number, order in enumerate([(tmp_path / "BTCUSDT.parquet", full), (full, tmp_path / "BTCUSDT.parquet")]):
        store = ResearchStore(f"file://{tmp_path}/store{number}")
        assert [bring(store, path).error for path in order] == [None, None]
        both.append(store.content_hashes("candles_1m", VERSION, "BTCUSDT"))
        assert read(store)["quote_volume"][3] == 3.0 * 103
    assert both[0] == both[1]


# --- what is wrong with files ---------------------------------------------------------------------------------------


def refused(store, path, words, **options):
    unit = bring(store, path, **options)
    assert (unit.status, store.symbols("candles_1m", VERSION)) == ("refused", ())
    assert words in unit.error
    assert path.name in unit.error


def test_files_as_a_whole_are_refused_by_name(store, tmp_path):
    good = lines([kline(m) for m in range(10)])
    refused(store, put_zip(tmp_path / "1" / MONTH, good, checksum="0" * 64), "checksum")
    cut = put_zip(tmp_path / "2" / MONTH, good, checksum=False)
    cut.write_bytes(cut.read_bytes()[:-30])
    refused(store, cut, "a whole, readable file")
    unknown = KLINE_HEADER.replace("taker_buy_volume", "sentiment")
    refused(store, put_zip(tmp_path / "3" / MONTH, lines([kline(0)], unknown)), "'sentiment'")
    lacking = [[row[0], *row[2:]] for row in (kline(m) for m in range(4))]
    header = KLINE_HEADER.replace("open,", "", 1)
    refused(store, put_zip(tmp_path / "4" / MONTH, lines(lacking, header)), "a column 'open'")
    refused(store, put_zip(tmp_path / "5" / MONTH, lines([kline(0)[:8]])), "12 columns")
    hourly = [kline(m * 60) for m in range(10)]
    refused(store, put_zip(tmp_path / "6" / MONTH, lines(hourly)), "bars of one minute")
    (tmp_path / "BTCUSDT.csv").write_text("1,2,3\n")
    refused(store, tmp_path / "BTCUSDT.csv", "the names of the columns")
    pq.write_table(pa.table({n: v for n, v in own().items() if n != "volume"}), tmp_path / "ETHUSDT.parquet")
    refused(store, tmp_path / "ETHUSDT.parquet", "--dataset")
    assert bring(store, tmp_path / "ETHUSDT.parquet", dataset="mark_candles_1m").new_rows == 30


def test_one_refused_file_does_not_stop_the_others(store, tmp_path):
    put_zip(tmp_path / "x" / MONTH, lines([kline(0)[:8]]))
    put_zip(tmp_path / "x" / MONTH.replace("BTC", "ETH"), lines([kline(m) for m in range(5)]))
    report = import_files(store, [tmp_path / "x"])
    assert {u.symbol: u.status for u in report.units} == {"BTCUSDT": "refused", "ETHUSDT": "imported"}
    assert minutes(read(store, symbol="ETHUSDT")) == [0, 1, 2, 3, 4]


def test_a_list_found_among_the_files_is_passed_over_and_refused_where_it_is_named(store, tmp_path):
    put_zip(tmp_path / MONTH, lines([kline(m) for m in range(5)]))
    (tmp_path / "manifest.csv").write_text("path,rows\nBTCUSDT-1m.zip,5\n")
    refused(store, tmp_path / "manifest.csv", "open_interest")
    report = import_files(store, [tmp_path])
    assert [unit.status for unit in report.units] == ["imported"]
    [(name, why)] = report.skipped
    assert (name, "'rows'" in why) == ("manifest.csv", True)


def test_a_file_of_the_spot_market_is_passed_over_also_where_it_is_named(store, tmp_path):
    path = put_zip(tmp_path / "data" / "spot" / "monthly" / MONTH, lines([kline(m) for m in range(5)]))
    assert import_files(store, [path]).skipped == [(path.name, "another market")]
    assert store.symbols("candles_1m", VERSION) == ()


def test_paths_that_hold_nothing_are_named(tmp_path):
    with pytest.raises(InvalidInputError, match="nowhere"):
        discover([tmp_path / "nowhere"])
    with pytest.raises(InvalidInputError, match="at least one"):
        discover([tmp_path])
    with pytest.raises(InvalidInputError, match="dataset"):
        discover([tmp_path], "candles")


# --- again, dry, interrupted ----------------------------------------------------------------------------------------


def snapshot(tmp_path):
    return {p: (p.stat().st_ino, p.read_bytes()) for p in (tmp_path / "store").rglob("*") if p.is_file()}


def test_the_same_files_again_touch_nothing_and_a_dry_run_writes_nothing(store, tmp_path):
    path = put_zip(tmp_path / MONTH, lines([kline(m) for m in range(10)]))
    dry = bring(store, path, dry_run=True)
    assert (dry.new_rows, snapshot(tmp_path)) == (10, {})
    bring(store, path)
    before = snapshot(tmp_path)
    again = bring(store, path)
    assert (again.status, again.new_rows, again.rows) == ("unchanged", 0, 10)
    assert snapshot(tmp_path) == before
    store.remove("candles_1m", VERSION, "BTCUSDT")
    assert bring(store, path).new_rows == 10  # what the ledger says does not hide what is gone


def test_a_disk_that_fills_up_leaves_the_month_as_it_was(store, tmp_path, monkeypatch):
    bring(store, put_zip(tmp_path / "a" / MONTH, lines([kline(m) for m in range(10)])))
    before = snapshot(tmp_path)
    more = put_zip(tmp_path / "b" / MONTH, lines([kline(m) for m in range(20)]))

    def full(_self, _target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", full)
        unit = bring(store, more)
    assert "No space left" in unit.error
    assert snapshot(tmp_path) == before
    assert bring(store, more).new_rows == 10


@settings(deadline=None, max_examples=20)
@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=12), min_size=1, max_size=4))
def test_however_rows_are_spread_over_files_the_store_holds_each_minute_once(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("spread")
    store = ResearchStore(f"file://{folder}/store")
    for number, rows in enumerate(files):
        (folder / "in").mkdir(exist_ok=True)
        # A run of minutes first: single rows far apart would be taken for another spacing.
        text = lines([kline(m) for m in [*range(50, 60), *rows]], "ts," + KLINE_HEADER.split(",", 1)[1])
        (folder / "in" / f"BTCUSDT_{number}.csv").write_text(text)
    report = import_files(store, [folder / "in"])
    assert not report.refused
    wanted = {m for rows in files for m in rows} | set(range(50, 60))
    assert minutes(read(store)) == sorted(wanted)
    assert sum(u.new_rows for u in report.units) == len(wanted)


@pytest.mark.skipif(not (SHARED / "vision_raw").is_dir(), reason="no recorded data in ../shared/data")
def test_real_archive_files_equal_the_recorded_parquet_of_the_same_month(store):
    report = import_files(store, [SHARED / "vision_raw"])
    assert [(u.symbol, u.rows, u.error, u.quarantined) for u in report.units] == [
        ("FILUSDT", 43_200, None, {}), ("NEARUSDT", 43_200, None, {}),
    ]  # fmt: skip
    assert report.gaps == {}
    (parquet,) = (SHARED / "klines_1m_full").glob("NEARUSDT_2025-09*.parquet") or [None]
    before = store.content_hashes("candles_1m", VERSION, "NEARUSDT")["2025-09"]
    unit = bring(store, parquet)
    assert (unit.error, unit.replaced) == (None, 0)
    assert store.content_hashes("candles_1m", VERSION, "NEARUSDT")["2025-09"] == before
