# ruff: noqa: E501 - statements stay statements
"""Columns of a symbol: exact, aligned, thinned when long, and not sent twice."""

import asyncio
import itertools

import aiohttp
import numpy as np
import psycopg
import pytest

from apps.api import cache
from apps.api.queries import series as queries
from apps.api.queries.columns import fetch_columns, text_sql
from apps.api.tests.conftest import fresh_database
from apps.api.tests.running import running, settings_for
from apps.api.tests.seed import BARS, MODEL, MONTHLY, NEWEST_MS, START_MS, prices
from packages.common.time import DAY_MS, MINUTE_MS, to_datetime

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


async def series(server, symbol="BTCUSDT", query="", status=200):
    async with server.client.get(f"/api/symbol/{symbol}/series{query}") as answer:
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=None)


async def test_the_default_is_the_newest_day(shared_desk):
    found = await series(shared_desk)
    assert (found["from_ts"], found["to_ts"]) == (NEWEST_MS + MINUTE_MS - DAY_MS, NEWEST_MS + MINUTE_MS)
    assert found["interval_min"] == 1
    candles = found["candles"]
    assert candles["ts"] == list(range(START_MS, NEWEST_MS + 1, MINUTE_MS))
    assert candles["close"] == prices("BTCUSDT").tolist()  # to the last bit
    assert candles["volume"] == [10.0 + i for i in range(BARS)]
    np.testing.assert_array_equal(found["mark"]["close"], prices("BTCUSDT") + 0.01)
    for block in (found["candles"], found["mark"], found["signals"]):
        assert {len(column) for column in block.values()} == {len(block["ts"])}


async def test_signals_keep_their_reason_and_leave_the_challenger_out(shared_desk):
    signals = (await series(shared_desk))["signals"]
    assert len(signals["ts"]) == len(set(signals["ts"])) == 120
    assert (signals["decision"][-1], signals["block_reason"][-1]) == ("LONG", None)
    assert signals["ev_long"][-1] == 0.002
    assert set(signals["decision"][:-1]) == {"FLAT"}
    assert set(signals["block_reason"][:-1]) == {"EV_BELOW_MIN"}
    unknown = (await series(shared_desk, "SOLUSDT"))["signals"]
    assert set(unknown["ev_long"]) == {None}
    assert set(unknown["e_hold_short_min"]) == {None}


async def test_positions_are_the_closed_and_the_open_one(shared_desk):
    closed, held = (await series(shared_desk))["positions"]
    assert (closed["exit_reason"], closed["net"], closed["exit_price"]) == ("TP", 5.0, 103.0)
    assert closed["from_ts"] < closed["to_ts"]
    assert (held["to_ts"], held["exit_price"], held["liquidation_price"], held["sl_price"]) == (None, None, 70.0, 98.0)
    before = await series(shared_desk, query=f"?from={START_MS}&to={START_MS + MINUTE_MS}")
    assert before["positions"] == []


async def test_spans_are_half_open(shared_desk):
    found = await series(shared_desk, query=f"?from={START_MS + MINUTE_MS}&to={START_MS + 3 * MINUTE_MS}")
    assert found["candles"]["ts"] == [START_MS + MINUTE_MS, START_MS + 2 * MINUTE_MS]


async def test_a_gap_stays_a_gap(shared_desk):
    ts = (await series(shared_desk, "ETHUSDT"))["candles"]["ts"]
    assert [b - a for a, b in itertools.pairwise(ts) if b - a != MINUTE_MS] == [6 * MINUTE_MS]


async def test_a_delisted_symbol_has_an_empty_history(shared_desk):
    found = await series(shared_desk, "BNXUSDT")
    assert found["candles"]["ts"] == found["signals"]["ts"] == found["positions"] == []


async def test_a_long_span_is_bars_of_bars(shared_desk):
    start = NEWEST_MS - 30 * DAY_MS
    found = await series(shared_desk, query=f"?from={start}&to={NEWEST_MS + MINUTE_MS}")
    short = (await series(shared_desk))["candles"]
    step = found["interval_min"] * MINUTE_MS
    assert found["interval_min"] == 15
    for i, ts in enumerate(found["candles"]["ts"]):
        inside = [j for j, at in enumerate(short["ts"]) if ts <= at < ts + step]
        assert ts % step == 0
        expected = {
            "open": short["open"][inside[0]],
            "close": short["close"][inside[-1]],
            "high": max(short["high"][j] for j in inside),
            "low": min(short["low"][j] for j in inside),
            "volume": sum(short["volume"][j] for j in inside),
        }
        assert {name: found["candles"][name][i] for name in expected} == expected
    signals = found["signals"]
    assert len(set(signals["ts"])) == len(signals["ts"]) == 8
    assert signals["decision"][-1] == "LONG"  # the trade is what its bar shows


async def test_unchanged_history_costs_no_bytes(shared_desk):
    path = f"/api/symbol/BTCUSDT/series?from={START_MS}&to={NEWEST_MS}"
    async with shared_desk.client.get(path) as first:
        etag = first.headers["ETag"]
        assert first.headers["Cache-Control"] == "private, no-cache"
    for header, status in ((etag, 304), (f'{etag.removeprefix("W/")}, "x"', 304), ("*", 304), ('"x"', 200)):
        async with shared_desk.client.get(path, headers={"If-None-Match": header}) as again:
            assert again.status == status
            assert again.headers["ETag"] == etag
            assert bool(await again.read()) == (status == 200)


async def test_many_screens_cost_one_reading(shared_desk, monkeypatch):
    reads, real = [], queries.series

    async def counted(*arguments):
        reads.append(arguments[1])
        return await real(*arguments)

    monkeypatch.setattr(queries, "series", counted)
    monkeypatch.setattr(cache, "monotonic_ms", lambda: 0.0)  # however long it takes them to come
    path = f"?from={START_MS}&to={START_MS + 7 * MINUTE_MS}"
    found = await asyncio.gather(*(series(shared_desk, query=path) for _ in range(20)))
    assert all(one == found[0] for one in found)
    assert reads == ["BTCUSDT"]


async def test_columns_refuse_what_they_cannot_carry(shared_desk):
    async with shared_desk.resources.pool.connection() as conn:
        with pytest.raises(ValueError, match="NULL or mistyped"):
            await fetch_columns(conn, "SELECT NULL::float8 FROM generate_series(1, 3)", {}, [("x", "f8")])
        with pytest.raises(ValueError, match="NULL or mistyped"):
            await fetch_columns(conn, "SELECT 1::int4", {}, [("x", "i8")])
        none = await fetch_columns(conn, "SELECT 1::bigint WHERE FALSE", {}, [("x", "i8")])
        assert none["x"].size == 0
        words = await fetch_columns(
            conn,
            f"SELECT {text_sql('w')} FROM (VALUES ('A'), (NULL), ('é'), (repeat('x', 50))) v(w)",
            {},
            [("w", "text")],
        )
        assert [w.decode().rstrip() for w in words["w"].tolist()] == ["A", "", "?", "x" * 32]


async def test_latest_rows_are_found_by_index(shared_desk):
    """The plans must not walk partitions: no sequential scan of a monthly table for the newest row."""
    from apps.api.queries import signals

    url = shared_desk.resources.settings.database_url
    with psycopg.connect(url) as conn:
        conn.execute("SET enable_seqscan = off")
        params = {"mode": "shadow", "challenger": None}
        plan = "\n".join(row[0] for row in conn.execute("EXPLAIN " + signals._SQL, params))
    assert "Seq Scan on signals" not in plan
    assert "Seq Scan on candles_1m" not in plan
    assert "Index" in plan


async def test_who_keeps_asking_never_waits_for_the_table(monkeypatch):
    now, reads, gate = [0.0], [], asyncio.Event()
    monkeypatch.setattr(cache, "monotonic_ms", lambda: now[0])

    async def read():
        reads.append(now[0])
        await gate.wait()
        return b"%d" % len(reads)

    bodies = cache.BodyCache(ttl_ms=400.0)
    waiting = [asyncio.create_task(bodies.get("k", read)) for _ in range(3)]
    gate.set()
    assert [(await one).data for one in waiting] == [b"1"] * 3  # one read for all who come meanwhile
    gate.clear()
    now[0] = 150.0
    assert (await bodies.get("k", read)).data == b"1"
    assert reads == [0.0]
    now[0] = 250.0
    for _ in range(3):
        assert (await bodies.get("k", read)).data == b"1"  # at once, though the next is being read
        await asyncio.sleep(0)
    assert reads == [0.0, 250.0]
    now[0] = 450.0
    late = asyncio.create_task(bodies.get("k", read))  # nothing is shown that is older than its time
    await asyncio.sleep(0)
    assert not late.done()
    gate.set()
    assert (await late).data == b"2"
    assert reads == [0.0, 250.0]


async def test_a_year_on_screen_stays_under_200_kb(postgres_server, redis_server):
    """Where every bar has a signal with all its digits, and three trades a day."""
    end, year = NEWEST_MS - 60 * DAY_MS, 365 * DAY_MS
    span = {"from": to_datetime(end - year), "to": to_datetime(end - MINUTE_MS)}
    url = fresh_database(postgres_server, seeded=True)
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as conn:
        for table in MONTHLY:
            for month in range(14):
                conn.execute(
                    "SELECT ensure_month(%s, (%s - %s * interval '1 month')::date)", (table, span["to"], month)
                )
        conn.execute(
            "INSERT INTO candles_1m (symbol, ts, open, high, low, close, volume, quote_volume) SELECT 'BTCUSDT', t, p, "
            "round(p * 1.003, 1), round(p * 0.997, 1), round(p * 1.001, 1), round((1e5 * random())::numeric, 3), 1e9 FROM (SELECT t, "
            "round((60000 + 5000 * random())::numeric, 1) AS p FROM generate_series(%(from)s, %(to)s, interval '240 min') t) x",
            span,
        )
        conn.execute(
            "INSERT INTO mark_candles_1m (symbol, ts, open, high, low, close) SELECT symbol, ts, open, high, low, "
            "close + random() FROM candles_1m WHERE symbol = 'BTCUSDT' AND ts < %(to)s",
            span,
        )
        conn.execute(
            "INSERT INTO signals (symbol, ts, model_id, mode, ev_long, ev_short, er_long, er_short, q05_long, q05_short, "
            "e_mae_long, e_mae_short, e_hold_long_min, e_hold_short_min, decision, block_reason_codes) SELECT symbol, ts, %(model)s, "
            "'shadow', random() / 100, random() / 100, random() / 100, random() / 100, -random() / 100, -random() / 100, random() / 100, "
            "random() / 100, 300 * random(), 300 * random(), 'FLAT', '[{\"code\": \"EV_BELOW_MIN\"}]' "
            "FROM candles_1m WHERE symbol = 'BTCUSDT' AND ts < %(to)s",
            {**span, "model": MODEL},
        )
        conn.execute(
            "INSERT INTO trades (mode, symbol, entry_ts, exit_ts, side, qty, entry_ref, entry_price, exit_ref, exit_price, exit_reason, "
            "gross, slippage, fees, liquidation_fee, funding, absorbed, net, mae, mfe, leverage, sl_price, tp_price, model_id) SELECT "
            "'shadow', 'BTCUSDT', t, t + interval '2 hours', 'LONG', 2, 1, 60000 * random(), 1, 60000 * random(), 'TP', 6, 0.5, 0.25, 0, "
            "0.25, 0, random(), 0.01, 0.03, 3, 60000 * random(), 60000 * random(), %(model)s "
            "FROM generate_series(%(from)s, %(to)s, interval '8 hours') t",
            {**span, "model": MODEL},
        )
    query = f"?from={end - year}&to={end}"
    async with running(settings_for(url, redis_server.url)) as server:
        who = {"headers": server.client.headers, "cookie_jar": server.client.cookie_jar}
        async with aiohttp.ClientSession(server.base, auto_decompress=False, **who) as raw:
            for encoding in ("gzip", "zstd"):
                wanted = {"Accept-Encoding": encoding}
                async with raw.get(f"/api/symbol/BTCUSDT/series{query}", headers=wanted) as answer:
                    body = await answer.read()
                    assert (answer.status, answer.headers["Content-Encoding"]) == (200, encoding), body[:500]
                    assert len(body) < 200_000, encoding
        found = await series(server, query=query)
    assert (found["interval_min"], len(found["candles"]["ts"]), len(found["signals"]["ts"])) == (240, 2190, 2190)
    assert len(found["positions"]) == 1095
