"""The batch writer against real servers: durable, idempotent, ordered, nothing lost under kill -9."""

import asyncio
import json
import math
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from packages.common.errors import InvalidInputError, StoreUnavailableError
from packages.common.spill import Batch, Spill
from packages.common.writer import BatchWriter

pytestmark = pytest.mark.integration
T0 = 1_767_225_600_000  # 2026-01-01
MODEL = UUID(int=7)
SYMBOLS = ["BTCUSDT", "한국", '"a\\"', "b,{c}", "NULL", ""]


def instrument(symbol="BTCUSDT", **more):
    return {"symbol": symbol, **more}


def candle(minute, symbol="BTCUSDT", close=2.0):
    return {
        "symbol": symbol, "ts": T0 + minute * 60_000, "open": 1.0, "high": 3.0, "low": 0.5, "close": close,
        "volume": 10.0, "quote_volume": 20.0, "trades": minute,
    }  # fmt: skip


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the writer has no event for it
            await asyncio.sleep(0.01)


def query(url, text, *args):
    with psycopg.connect(url, options="-c timezone=UTC") as conn:
        return conn.execute(text, args).fetchall()


async def test_rows_of_several_tables_arrive_in_one_transaction_whatever_their_order(postgres_url, tmp_path):
    async with BatchWriter(postgres_url, tmp_path, flush_interval_ms=50) as writer:
        writer.put("candles_1m", [candle(i) for i in range(3)])  # before its instrument
        writer.put("instruments", [instrument(tick_size=0.1)])
        await writer.flush(5)
        assert writer.metrics.queued_rows == 0
        assert writer.metrics.lag_ms == 0
        assert writer.metrics.written_rows == 4
    assert query(postgres_url, "SELECT count(*), sum(trades) FROM candles_1m") == [(3, 3)]
    assert len(query(postgres_url, "SELECT DISTINCT xmin::text FROM instruments")) == 1
    both = "SELECT xmin::text FROM instruments UNION SELECT xmin::text FROM candles_1m"
    assert len(query(postgres_url, both)) == 1


async def test_the_same_rows_twice_change_nothing_and_a_bar_that_is_stored_is_final(postgres_url, tmp_path):
    async with BatchWriter(postgres_url, tmp_path) as writer:
        writer.put("instruments", [instrument(), instrument()])
        writer.put("candles_1m", [candle(0), candle(0)])
        writer.put("quality_events", [(T0, None, "BAD_FRAME", "cut", {"n": 1})] * 2)
        await writer.flush(5)
        writer.put("candles_1m", [candle(0, close=9.0)])
        writer.put("quality_events", [(T0, None, "BAD_FRAME", "cut", {"n": 1})])
        writer.put("risk_events", [(T0, "X", None, 1, "m", None), (T0, "X", None, 1, "m", None)])
        await writer.flush(5)
    assert query(postgres_url, "SELECT close FROM candles_1m") == [(2.0,)]
    assert query(postgres_url, "SELECT count(*) FROM quality_events") == [(1,)]
    assert query(postgres_url, "SELECT count(*) FROM risk_events") == [(1,)]


async def test_update_tables_keep_the_last_row_and_only_touch_the_columns_it_brings(postgres_url, tmp_path):
    async with BatchWriter(postgres_url, tmp_path) as writer:
        writer.put("instruments", [instrument(tick_size=0.1, status="active"), instrument(tick_size=0.2)])
        writer.put("instruments", [instrument(status="halted")])
        await writer.flush(5)
    assert query(postgres_url, "SELECT status, tick_size FROM instruments") == [("halted", 0.2)]


async def test_every_kind_of_column_comes_back_as_it_was(postgres_url, tmp_path):
    when = datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=UTC)
    with psycopg.connect(postgres_url) as conn:
        conn.execute(
            "INSERT INTO models VALUES (%s, now(), 'lgbm', 1, 'h', now(), now(), '{}', 'u', false, 'demo', 'c', '{}')",
            (MODEL,),
        )
    async with BatchWriter(postgres_url, tmp_path) as writer:
        writer.put("decisions", [{
            "ts": T0, "mode": "shadow", "model_id": str(MODEL), "symbols": SYMBOLS, "inputs": b"\x00\xff",
            "outputs": b"", "state": bytearray(b"s"), "format": 1, "decided_at": when,
            "timings": {"a": math.nan, "b": [1]},
        }])  # fmt: skip
        writer.put(
            "exchange_info_snapshots", [{"day": when.date(), "symbol": "X", "taken_at": when, "info": b'{"k": 1}'}]
        )
        writer.put("features_1m", [])
        await writer.flush(5)
    assert query(postgres_url, "SELECT * FROM decisions") == [
        (datetime(2026, 1, 1, tzinfo=UTC), "shadow", MODEL, SYMBOLS, b"\x00\xff", b"", b"s", 1, when,
         {"a": None, "b": [1]}, None, None)
    ]  # fmt: skip
    assert query(postgres_url, "SELECT day, info FROM exchange_info_snapshots") == [(when.date(), {"k": 1})]


async def test_nan_is_null_where_that_is_allowed_and_months_open_by_themselves(postgres_url, tmp_path):
    row = candle(0) | {"taker_buy_volume": math.nan, "ts": datetime(2024, 2, 29, tzinfo=UTC)}
    async with BatchWriter(postgres_url, tmp_path) as writer:
        writer.put("instruments", [instrument()])
        writer.put("candles_1m", [row, candle(0), candle(31 * 1440)])
        await writer.flush(5)
    assert query(postgres_url, "SELECT taker_buy_volume FROM candles_1m_202402") == [(None,)]
    assert query(postgres_url, "SELECT count(*) FROM candles_1m") == [(3,)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"open": "1"}, "candles_1m.open: got '1'"),
        ({"open": None}, "candles_1m.open: got None, expected a value in every row"),
        ({"nonsense": 1}, "nonsense"),
        ({"ts": datetime(2026, 1, 1)}, "an aware datetime"),
        ({"symbol": "A\0"}, "without NUL"),
        ({"trades": 1.5}, "candles_1m.trades: got 1.5"),
        ({"trades": 2**63}, "candles_1m.trades"),
    ],
)
async def test_what_can_never_be_stored_is_refused_at_put_with_field_and_value(tmp_path, change, words):
    writer = BatchWriter("postgresql://nowhere/x", tmp_path)
    with pytest.raises(InvalidInputError) as caught:
        writer.put("candles_1m", [candle(0), candle(1) | change])
    assert words in str(caught.value)
    assert writer.metrics.queued_rows == 0


async def test_a_row_the_database_refuses_is_kept_aside_and_the_others_go_on(postgres_url, tmp_path):
    heard = []
    writer = BatchWriter(postgres_url, tmp_path, on_refused=lambda *args: heard.append(args))
    async with writer:
        writer.put("instruments", [instrument()])
        writer.put("candles_1m", [candle(0), candle(1, symbol="NOBODYUSDT"), candle(2), candle(3)])
        writer.put("quality_events", [(T0, "BTCUSDT", "X", "m", b'"\\u0000"')])  # JSON that jsonb cannot hold
        await writer.flush(5)
        assert writer.metrics.refused_rows == 2
    assert query(postgres_url, "SELECT count(*) FROM candles_1m") == [(3,)]
    assert {(table, row["symbol"]) for table, row, _ in heard} == {
        ("candles_1m", "NOBODYUSDT"),
        ("quality_events", "BTCUSDT"),
    }
    kept = [json.loads(line) for line in (tmp_path / "refused.jsonl").read_text().splitlines()]
    assert any('not present in table "instruments"' in line["reason"] for line in kept)


async def test_a_database_killed_and_restarted_loses_nothing_and_doubles_nothing(killable_postgres, tmp_path):
    url, spill = killable_postgres.url, tmp_path / "spill"
    async with BatchWriter(url, spill, flush_interval_ms=20) as writer:
        writer.put("instruments", [instrument()])
        minute = 0
        for phase in range(3):
            for _ in range(40):
                writer.put("candles_1m", [candle(minute)])
                writer.put("quality_events", [(T0 + minute, "BTCUSDT", "N", str(minute), None)])
                minute += 1
                if phase == 1 and minute == 50:
                    killable_postgres.kill()
                await asyncio.sleep(0.005)
            if phase == 1:
                await until(lambda: not writer.metrics.database_ok and writer.metrics.spilled_bytes)
                assert writer.metrics.lag_ms > 0
                await asyncio.to_thread(killable_postgres.start)
        await writer.flush(15)
        assert writer.metrics.database_ok
        assert writer.metrics.queued_rows == 0
    assert not list(spill.glob("*.spill"))
    assert query(url, "SELECT count(*), sum(trades) FROM candles_1m") == [(120, sum(range(120)))]
    assert query(url, "SELECT count(*), count(DISTINCT message) FROM quality_events") == [(120, 120)]


async def test_rows_left_on_disk_by_one_run_come_first_in_the_next(killable_postgres, tmp_path):
    url, spill = killable_postgres.url, tmp_path / "spill"
    killable_postgres.kill()
    writer = BatchWriter(url, spill, flush_interval_ms=20)
    await writer.start()
    writer.put("instruments", [instrument(status="halted", tick_size=0.5)])
    with pytest.raises(StoreUnavailableError):
        await writer.flush(0.3)
    writer.put("candles_1m", [candle(0)])
    await writer.aclose()
    (segment,) = spill.glob("*.spill")
    with segment.open("ab") as torn:
        torn.write(b"\x10\x00\x00\x00half")
    await asyncio.to_thread(killable_postgres.start)
    async with BatchWriter(url, spill) as second:
        second.put("instruments", [instrument(status="active")])
        await second.flush(10)
    assert query(url, "SELECT status, tick_size FROM instruments") == [("active", 0.5)]
    assert query(url, "SELECT count(*) FROM candles_1m") == [(1,)]


async def test_two_writers_never_share_a_folder(postgres_url, tmp_path):
    async with BatchWriter(postgres_url, tmp_path):
        with pytest.raises(StoreUnavailableError, match="in use"):
            await BatchWriter(postgres_url, tmp_path).start()


async def test_put_refuses_when_database_disk_and_memory_are_full(tmp_path, monkeypatch):
    writer = BatchWriter("postgresql://127.0.0.1:1/x", tmp_path, flush_interval_ms=10, memory_rows=5)
    await writer.start()

    def full(_batches):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer._spill, "append", full)
    writer.put("instruments", [instrument(f"S{i}USDT") for i in range(5)])
    await until(lambda: "No space left" in str(writer.metrics.last_error))
    with pytest.raises(StoreUnavailableError, match="No space left"):
        writer.put("instruments", [instrument()])
    monkeypatch.undo()
    await writer.aclose()
    assert list(tmp_path.glob("*.spill"))


async def test_a_flush_brings_its_own_rows_alone(postgres_url, tmp_path):
    async with BatchWriter(postgres_url, tmp_path) as writer:
        for status in ("first", "second"):
            writer.put("instruments", [instrument(status=status), instrument("ETHUSDT", status=status)])
            await writer.flush(5)
            with psycopg.connect(postgres_url) as conn:  # somebody else's word; what was flushed must not come again
                conn.execute("UPDATE instruments SET status = 'elsewhere' WHERE symbol = 'ETHUSDT'")
            writer.put("instruments", [instrument(status="alone")])
            await writer.flush(5)
            found = query(postgres_url, "SELECT symbol, status FROM instruments ORDER BY symbol")
            assert found == [("BTCUSDT", "alone"), ("ETHUSDT", "elsewhere")]


async def test_rows_of_another_form_on_disk_are_neither_lost_nor_taken_for_rows(tmp_path):
    spill = Spill(tmp_path)
    spill.append([Batch("instruments", ("symbol", "status"), [(b"one field",)])])
    spill.seal()
    with pytest.raises(StoreUnavailableError, match="another version"):
        list(spill.read(spill.segments()[0]))
    spill.close()
