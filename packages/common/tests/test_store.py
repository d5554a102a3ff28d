"""The research store on a real folder."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.common.errors import InvalidInputError, SchemaMismatchError, StoreUnavailableError
from packages.common.store import ResearchStore

T0 = 1_767_225_600_000  # 2026-01-01
MINUTE = 60_000


@pytest.fixture(params=["file", "s3"])
def store(request, tmp_path):
    base = request.getfixturevalue("s3_url") if request.param == "s3" else tmp_path.as_uri()
    return ResearchStore(f"{base}/store")


def bars(start, n, value=0.0):
    ts = T0 + (start + np.arange(n, dtype=np.int64)) * MINUTE
    return {"ts": ts, "close": ts / 1e9 + value, "trades": np.arange(n)}


def test_rows_come_back_bit_for_bit_across_months(store):
    rows = bars(0, 70_000) | {"close": np.random.default_rng(0).normal(size=70_000)}
    rows["close"][5] = np.nan
    assert store.write("candles", "v1", "BTCUSDT", rows) == 70_000
    back = store.read("candles", "v1", "BTCUSDT")
    assert {n: a.dtype for n, a in back.items()} == {n: a.dtype for n, a in rows.items()}
    for name in rows:
        np.testing.assert_array_equal(back[name], rows[name])
    assert store.coverage("candles", "v1", "BTCUSDT").months == ("2026-01", "2026-02")


def test_a_range_is_half_open_and_names_its_columns(store):
    store.write("candles", "v1", "BTCUSDT", bars(0, 60_000))
    start, end = T0 + 44_630 * MINUTE, T0 + 44_650 * MINUTE  # across the end of January
    back = store.read("candles", "v1", "BTCUSDT", ["close"], from_ts_ms=start, to_ts_ms=end)
    assert list(back) == ["ts", "close"]
    np.testing.assert_array_equal(back["ts"], np.arange(start, end, MINUTE))
    assert store.read("candles", "v1", "BTCUSDT", ["close"], from_ts_ms=T0 + 10**12)["close"].size == 0
    assert store.read("candles", "v1", "NOSUCH", ["close"])["ts"].size == 0
    with pytest.raises(InvalidInputError, match="nonsense"):
        store.read("candles", "v1", "BTCUSDT", ["nonsense"])


@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), min_size=1, max_size=8), max_size=5))
def test_writes_in_any_order_leave_the_last_value_of_each_minute(tmp_path_factory, writes):
    store = ResearchStore(f"file://{tmp_path_factory.mktemp('store')}")
    expected: dict[int, int] = {}
    for rows in writes:
        ts = np.array([T0 + minute * 1440 * MINUTE for minute, _ in rows])  # days: several months
        store.write("d", "v", "S", {"ts": ts, "x": np.array([v for _, v in rows])})
        expected |= {int(t): v for t, (_, v) in zip(ts, rows, strict=True)}
    back = store.read("d", "v", "S", ["x"])
    assert dict(zip(back["ts"].tolist(), back["x"].tolist(), strict=True)) == expected
    assert (np.diff(back["ts"]) > 0).all()


@pytest.mark.parametrize("store", ["file"], indirect=True)
def test_the_same_rows_again_touch_no_file_and_the_hash_follows_the_values(store, tmp_path):
    store.write("d", "v", "S", bars(0, 10))
    (path,) = tmp_path.glob("store/d/v/S/*.parquet")
    before, inode = store.content_hashes("d", "v", "S"), path.stat().st_ino
    assert store.write("d", "v", "S", bars(2, 5) | {"trades": np.arange(2, 7)}) == 0
    assert path.stat().st_ino == inode
    other = ResearchStore(f"file://{tmp_path}/other")
    for start in (5, 0):
        other.write("d", "v", "S", bars(start, 5) | {"trades": np.arange(start, start + 5)})
    assert other.content_hashes("d", "v", "S") == before
    store.write("d", "v", "S", bars(3, 1, value=1e-9))
    assert store.content_hashes("d", "v", "S") != before


def test_coverage_and_lists(store):
    assert store.coverage("d", "v", "S") is None
    assert store.symbols("d", "v") == ()
    store.write("d", "v", "ETHUSDT", bars(5, 3))
    store.write("d", "v", "BTCUSDT", bars(0, 1))
    assert store.symbols("d", "v") == ("BTCUSDT", "ETHUSDT")
    assert store.versions("d") == ("v",)
    found = store.coverage("d", "v", "ETHUSDT")
    assert (found.rows, found.first_ts_ms, found.last_ts_ms) == (3, T0 + 5 * MINUTE, T0 + 7 * MINUTE)
    store.remove("d", "v", "ETHUSDT")
    assert store.symbols("d", "v") == ("BTCUSDT",)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"ts": np.array([1.0])}, "int64 epoch milliseconds"),
        ({"x": np.array([1.0])}, "ts"),
        ({"ts": np.array([1, 2]), "x": np.array([1.0])}, "one length"),
    ],
)
def test_bad_columns_are_named(store, columns, words):
    with pytest.raises(InvalidInputError, match=words):
        store.write("d", "v", "S", columns)


def test_names_cannot_leave_the_store(store):
    for name in ("../x", "a/b", "", ".hidden"):
        with pytest.raises(InvalidInputError):
            store.write("d", "v", name, bars(0, 1))
    with pytest.raises(InvalidInputError):
        store.put_object("models/../../x", b"")


@pytest.mark.parametrize("store", ["file"], indirect=True)
def test_a_write_that_dies_leaves_the_old_file(store, tmp_path, monkeypatch):
    store.write("d", "v", "S", bars(0, 10))

    def full(_self, _target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(StoreUnavailableError, match="No space left"):
        store.write("d", "v", "S", bars(10, 10))
    assert store.read("d", "v", "S")["ts"].size == 10
    assert [p.suffix for p in tmp_path.glob("store/d/v/S/*")] == [".parquet"]


@pytest.mark.parametrize("store", ["file"], indirect=True)
def test_a_cut_file_is_named(store, tmp_path):
    store.write("d", "v", "S", bars(0, 1000))
    (path,) = tmp_path.glob("store/d/v/S/*.parquet")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(StoreUnavailableError, match=r"2026-01\.parquet"):
        store.read("d", "v", "S")


def test_objects_and_identity(store):
    url = store.put_object("models/abc/model.bin", b"\x00\x01")
    assert store.get_object(url) == store.get_object("models/abc/model.bin") == b"\x00\x01"
    with pytest.raises(StoreUnavailableError):
        store.get_object("models/none")
    store.ensure_identity("emulator:generated:seed=7")
    store.ensure_identity("emulator:generated:seed=7")
    with pytest.raises(SchemaMismatchError, match="VAR_DIR"):
        store.ensure_identity("binance:public")
