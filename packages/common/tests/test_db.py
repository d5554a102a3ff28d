"""Bulk loading, partitions, identity and migrations on a real PostgreSQL."""

import itertools
from datetime import date

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.common import db, migrate
from packages.common.errors import InvalidInputError, SchemaMismatchError, StoreUnavailableError
from packages.common.pgcopy import HEADER, TRAILER, binary_copy
from packages.common.rows import copy_row, decode_row, encode_row
from packages.common.tables import TABLES

T0 = 1_767_225_600_000


@pytest.fixture
def conn(postgres_url):
    with db.connect(postgres_url) as connection:
        connection.execute("INSERT INTO instruments (symbol) VALUES ('BTCUSDT'), ('1000PEPEUSDT')")
        connection.commit()
        yield connection


def candles(n, start=T0, **more):
    ts = start + np.arange(n, dtype=np.int64) * 60_000
    price = 100 + np.arange(n) / 7
    return {
        "symbol": "BTCUSDT", "ts": ts, "open": price, "high": price + 1, "low": price - 1, "close": price,
        "volume": price, "quote_volume": price * price, "trades": np.arange(n), **more,
    }  # fmt: skip


@pytest.mark.integration
@pytest.mark.parametrize("assume_empty", [True, False])
def test_a_load_arrives_bit_for_bit_and_again_changes_nothing(conn, assume_empty):
    data = candles(3000, taker_buy_volume=np.where(np.arange(3000) % 3, np.pi * np.arange(3000), np.nan))
    assert db.bulk_load(conn, "candles_1m", data, assume_empty=assume_empty) == 3000
    db.bulk_load(conn, "candles_1m", data, assume_empty=False)
    rows = conn.execute(
        "SELECT (extract(epoch FROM ts) * 1000)::bigint, close, trades, taker_buy_volume FROM candles_1m ORDER BY ts"
    ).fetchall()
    got = [np.array(column, float) for column in zip(*rows, strict=True)]
    for have, want in zip(got, ("ts", "close", "trades", "taker_buy_volume"), strict=True):
        np.testing.assert_array_equal(have, np.asarray(data[want], float))


@pytest.mark.integration
def test_a_range_wrongly_called_empty_is_merged_all_the_same(conn):
    db.bulk_load(conn, "candles_1m", candles(100), assume_empty=True)
    changed = db.bulk_load(conn, "candles_1m", candles(200) | {"close": np.zeros(200)}, assume_empty=True)
    assert changed == 100
    assert conn.execute("SELECT count(*), min(close) > 0 FROM candles_1m WHERE trades < 100").fetchone() == (100, True)


@pytest.mark.integration
def test_symbols_of_several_lengths_and_months_load_at_once(conn):
    n = 50_000
    symbols = np.array(["BTCUSDT", "1000PEPEUSDT"])[np.arange(n) % 2]
    db.bulk_load(conn, "candles_1m", candles(n) | {"symbol": symbols}, assume_empty=True)
    assert conn.execute("SELECT symbol, count(*) FROM candles_1m GROUP BY 1 ORDER BY 1").fetchall() == [
        ("1000PEPEUSDT", n // 2),
        ("BTCUSDT", n // 2),
    ]
    assert conn.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'candles_1m'::regclass").fetchone() == (2,)


@pytest.mark.integration
def test_an_update_table_takes_the_last_row_of_a_key(conn):
    load = {
        "symbol": "BTCUSDT",
        "day": np.array(["2026-01-01"] * 3, "M8[D]"),
        "tier": ["A", "B", "C"],
        "beta": [1.0, 2, 3],
    }
    db.bulk_load(conn, "instrument_days", load)
    assert conn.execute("SELECT day, tier, beta FROM instrument_days").fetchall() == [(date(2026, 1, 1), "C", 3.0)]
    db.bulk_load(conn, "instrument_days", load | {"beta": [1.0, 2, 9]})
    assert conn.execute("SELECT beta FROM instrument_days").fetchall() == [(9.0,)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"open": np.zeros(3)}, "arrays of one length"),
        ({"open": ["a", "b"]}, "candles_1m.open"),
        ({"wrong": np.zeros(2)}, "wrong"),
        ({"trades": np.array([1.5, 2])}, "candles_1m.trades: got 'a fraction'"),
        ({"ts": np.array([1.0, 2.0])}, "int64 epoch milliseconds"),
        ({"symbol": np.array(["BTCUSDT", None], object)}, "candles_1m.symbol: got 'a missing value'"),
    ],
)
def test_columns_that_do_not_fit_are_named(change, words):
    with pytest.raises(InvalidInputError) as caught:
        list(binary_copy(TABLES["candles_1m"], candles(2) | change))
    assert words in str(caught.value)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4),
                          st.integers(0, 4 * 10**12),
                          st.none() | st.floats(allow_nan=False),
                          st.floats(allow_nan=False)), min_size=1, max_size=20))  # fmt: skip
def test_the_array_encoder_writes_the_same_bytes_as_the_row_encoder(rows):
    table = TABLES["open_interest"]
    symbol, ts, value, interest = zip(*rows, strict=True)
    columns = {"symbol": np.array(symbol, object), "ts": np.array(ts), "open_interest": np.array(interest),
               "open_interest_value": np.array(value, object)}  # fmt: skip
    stream = b"".join(binary_copy(table, columns))
    expected = [copy_row(encode_row(table, row)[1]) for row in zip(symbol, ts, interest, value, strict=True)]
    assert stream.startswith(HEADER)
    assert stream.endswith(TRAILER)
    at, seen = len(HEADER), []
    while at < len(stream) - 2:  # rows may be grouped by shape: cut them out one by one
        row = next(r for r in expected if stream.startswith(r, at))
        seen.append(row)
        at += len(row)
    assert sorted(seen) == sorted(expected)


def test_an_encoded_row_reads_back():
    row = {"symbol": "BTCUSDT", "ts": T0, "open_interest": 1.5, "open_interest_value": None}
    shape, encoded = encode_row(TABLES["open_interest"], row)
    assert decode_row(shape.table, shape.names, encoded) == row | {"ts": "2026-01-01T00:00:00+00:00"}


@pytest.mark.integration
def test_retention_drops_whole_months_that_are_old_and_nothing_else(conn):
    for start in (T0, T0 + 31 * 86_400_000, T0 + 59 * 86_400_000):  # January, February, March
        db.bulk_load(conn, "candles_1m", candles(10, start))
    middle_of_march = T0 + 70 * 86_400_000
    assert db.drop_months_before(conn, middle_of_march) == ["candles_1m_202601", "candles_1m_202602"]
    assert conn.execute("SELECT count(*) FROM candles_1m").fetchone() == (10,)
    assert db.drop_months_before(conn, middle_of_march) == []


@pytest.mark.integration
def test_a_database_stays_with_its_exchange(conn):
    db.ensure_identity(conn, "emulator:generated:seed=7")
    db.ensure_identity(conn, "emulator:generated:seed=7")
    with pytest.raises(SchemaMismatchError, match="VAR_DIR"):
        db.ensure_identity(conn, "binance:public")


@pytest.mark.integration
def test_migrating_twice_does_nothing_and_a_newer_database_is_refused(postgres_url):
    assert migrate.current_revision(postgres_url) == migrate.head_revision()
    assert migrate.upgrade(postgres_url) is False
    with psycopg.connect(postgres_url) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaMismatchError, match="9999"):
        migrate.upgrade(postgres_url)


def test_an_unreachable_database_is_named_without_its_password():
    with pytest.raises(StoreUnavailableError) as caught:
        db.connect("postgresql://u:secret@127.0.0.1:1/x")
    assert "127.0.0.1:1/x" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.integration
async def test_the_pool_outlives_a_restart_of_the_server(killable_postgres):
    async with db.open_pool(killable_postgres.url) as pool:
        async with pool.connection() as conn:
            await conn.execute("SELECT 1")
        killable_postgres.kill()
        killable_postgres.start()
        for attempt in itertools.count():
            try:
                async with pool.connection() as conn:
                    assert await (await conn.execute("SELECT 1")).fetchone() == (1,)
                break
            except psycopg.OperationalError:
                assert attempt < 5
