"""What happened over time, on the seeded desk: figures against the rows they come from."""

import json
from datetime import timedelta

import numpy as np
import psycopg
import pyarrow as pa
import pytest
import pytest_asyncio

from apps.api.tests.conftest import fresh_database
from apps.api.tests.running import running, settings_for
from apps.api.tests.seed import BARS, CHALLENGER, MODEL, NEWEST, START, heartbeat, minute
from packages.common.time import from_datetime

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]
HOUR = f"from={from_datetime(minute(BARS - 60))}&to={from_datetime(NEWEST) + 60_000}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(postgres_server, redis_server, tmp_path_factory):
    url = fresh_database(postgres_server, seeded=True)
    package = tmp_path_factory.mktemp("package")
    (package / "report.equity.csv").write_text("ts_ms,equity\n60000,100.0\n120000,90.0\n180000,120.0\n")
    (package / "report.html").write_text("<h1>Report</h1>")
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as conn:
        conn.execute("UPDATE models SET artifact_uri = %s WHERE model_id = %s", (f"file://{package}", MODEL))
        conn.execute(
            "INSERT INTO settings (author, reason, value, diff) VALUES ('kim', 'wide', '{}', "
            """'[{"name": "EV_MIN", "before": 0, "after": 1, "takes_effect": "next_minute"}]')"""
        )
        for i in range(BARS - 20, BARS):
            late = timedelta(minutes=1, milliseconds=400 if i % 2 else 1500)
            conn.execute(
                "INSERT INTO decisions (ts, mode, model_id, symbols, inputs, outputs, state, format, decided_at, "
                "timings, settings_version, settings_hash) "
                "VALUES (%s, 'shadow', %s, '{}', '', '', '', 1, %s, %s, %s, 'h')",
                (
                    minute(i), CHALLENGER if i >= BARS - 5 else MODEL, minute(i) + late,
                    json.dumps({"features": 0.2, "decision": float(i % 10), "minute": 3.0}), int(i >= BARS - 10),
                ),
            )  # fmt: skip
        stop = json.dumps([{"code": "KILL_SWITCH", "value": 1, "limit": 0, "distance": 1}])
        conn.execute(
            "UPDATE signals SET block_reason_codes = %s, decision = 'FLAT' WHERE symbol = 'BTCUSDT' AND model_id = %s "
            "AND ts >= %s AND ts < %s",
            (stop, MODEL, minute(BARS - 40), minute(BARS - 30)),
        )
        conn.execute(
            "INSERT INTO funding_rates (symbol, ts, funding_rate) VALUES ('BTCUSDT', %s, 1e-4), ('ETHUSDT', %s, 3e-4)",
            (minute(BARS - 15), minute(BARS - 15)),
        )
    async with running(settings_for(url, redis_server.url)) as found:
        yield found


async def get(server, path, status=200, **headers):
    async with server.client.get(path, headers=headers) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=None) if status != 304 else None


async def test_the_funnel_adds_up_over_symbols_and_reasons(server):
    found = await get(server, f"/api/funnel?{HOUR}")
    assert found["rows"] == 3 * 60 == sum(one["rows"] for one in found["symbols"])
    assert found["rows"] == found["traded"] + found["blocked"] + found["flat"]
    by_symbol = {one["symbol"]: one for one in found["symbols"]}
    assert (by_symbol["BTCUSDT"]["traded"], by_symbol["SOLUSDT"]["top_code"]) == (1, "FEATURE_NAN")
    assert {one["code"]: one["primary"] for one in found["reasons"]}["KILL_SWITCH"] == 10
    assert sum(one["primary"] for one in found["reasons"]) == found["blocked"]
    alone = await get(server, f"/api/funnel?{HOUR}&symbol=ETHUSDT")
    assert (alone["rows"], len(alone["symbols"])) == (60, 1)
    await get(server, "/api/funnel?from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z", 422)


async def test_why_a_symbol_was_not_traded_is_walked_page_by_page(server):
    seen, cursor = [], ""
    while cursor is not None:
        page = await get(server, f"/api/symbol/ETHUSDT/why-not?{HOUR}&limit=25{cursor and f'&cursor={cursor}'}")
        assert (page["summary"] or {}).get("blocked") == (60 if not cursor else None)  # the first page's alone
        seen += page["items"]
        cursor = page["next_cursor"]
    assert len(seen) == 60
    assert [row["ts"] for row in seen] == sorted({row["ts"] for row in seen}, reverse=True)
    assert seen[0]["reasons"][0] == {"code": "EV_BELOW_MIN", "value": -0.001, "limit": 0.0, "distance": -0.001}
    await get(server, "/api/symbol/NOUSDT/why-not", 404)


async def test_latencies_are_counted_by_stage(server):
    found = await get(server, "/api/latency")
    stages = {one["stage"]: one for one in found["stages"]}
    assert {one["n"] for one in stages.values()} == {20}
    assert all(sum(one["counts"]) == 20 and len(one["counts"]) == len(found["edges"]) + 1 for one in stages.values())
    late = stages["bar_to_decision"]
    assert (late["unit"], late["p50"], late["max"]) == ("market_ms", pytest.approx(950), pytest.approx(1500))
    assert late["counts"][found["edges"].index(500.0)] == 10  # 400 ms lie below 500
    decision = np.array([i % 10 for i in range(BARS - 20, BARS)])
    assert stages["decision"]["p90"] == pytest.approx(np.percentile(decision, 90))


async def test_profit_of_days_starts_where_the_day_before_ended(server):
    def equity(i):
        return 10_000.0 + 10 * np.sin(i / 20)

    first, second = reversed((await get(server, "/api/account/profit?period=day"))["items"])
    last_of_february = 119  # the seeded hours begin at 22:00
    assert first["start_equity"] == equity(0)
    assert first["end_equity"] == second["start_equity"] == pytest.approx(equity(last_of_february))
    assert second["profit"] == pytest.approx(equity(BARS - 1) - equity(last_of_february))
    assert second["profit_frac"] == pytest.approx(second["profit"] / second["start_equity"])
    assert (first["trades"], second["trades"], second["net"]) == (0, 3, 15.0)
    months = (await get(server, "/api/account/profit?period=month"))["items"]
    assert [row["from_ts"][:10] for row in months] == ["2026-03-01", "2026-02-01"]
    assert len((await get(server, "/api/account/profit?period=week"))["items"]) == 1
    assert (await get(server, "/api/account/profit?mode=live"))["items"] == []


async def test_curves_lie_over_each_other(server):
    curves = {one["source"]: one for one in (await get(server, "/api/account/equity/overlay"))["curves"]}
    assert set(curves) == {"shadow", "backtest"}
    assert len(curves["shadow"]["ts"]) == BARS
    assert curves["backtest"]["model_id"] == str(MODEL)
    assert curves["backtest"]["drawdown"] == [0.0, pytest.approx(0.1), 0.0]
    none = await get(server, f"/api/account/equity/overlay?model_id={CHALLENGER}")
    assert [one["source"] for one in none["curves"]] == ["shadow"]
    async with server.client.get(f"/api/models/{MODEL}/report") as answer:
        assert (answer.status, await answer.text()) == (200, "<h1>Report</h1>")
        assert "sandbox" in answer.headers["Content-Security-Policy"]
    await get(server, f"/api/models/{CHALLENGER}/report", 404)


async def test_charts_are_told_what_changed_when_it_decided(server):
    items = (await get(server, f"/api/annotations?{HOUR}"))["items"]
    found = {one["code"]: one for one in items}
    at = {name: one["ts"][:16] for name, one in found.items()}
    assert at["SETTINGS_CHANGED"] == f"{minute(BARS - 10):%Y-%m-%dT%H:%M}"
    assert found["SETTINGS_CHANGED"]["details"] == {"version": 1, "names": ["EV_MIN"], "by": "kim", "reason": "wide"}
    assert found["SETTINGS_CHANGED"]["text"] == "settings version 1: EV_MIN"
    assert at["MODEL_CHANGED"] == f"{minute(BARS - 5):%Y-%m-%dT%H:%M}"
    halt = found["KILL_SWITCH"]
    assert (halt["kind"], halt["ts"][:16], halt["to_ts"][:16]) == (
        "halt", f"{minute(BARS - 40):%Y-%m-%dT%H:%M}", f"{minute(BARS - 30):%Y-%m-%dT%H:%M}",
    )  # fmt: skip
    assert found["FUNDING"]["details"] == {"symbols": 2, "mean_rate": pytest.approx(2e-4)}
    assert found["DAILY_LOSS_LIMIT"]["kind"] == "risk"
    only = (await get(server, f"/api/annotations?{HOUR}&kind=funding&kind=halt&symbol=ETHUSDT"))["items"]
    assert [(one["kind"], one["symbol"]) for one in only] == [("halt", None), ("funding", "ETHUSDT")]


@pytest.mark.parametrize("path", ["/api/risk/events", "/api/data-quality/gaps", "/api/data-quality/events"])
async def test_events_come_in_pages(server, path):
    page = await get(server, f"{path}?limit=1")
    assert len(page["items"]) == 1
    assert page["next_cursor"] is None
    assert (await get(server, f"{path}?to={from_datetime(START) - 1}"))["items"] == []
    await get(server, f"{path}?cursor=x", 422)


@pytest.mark.parametrize("path", ["/api/funnel", "/api/orders", "/api/trades", "/api/drift", "/api/data-quality/map"])
async def test_history_that_has_not_changed_costs_nothing(server, path):
    async with server.client.get(path) as answer:
        etag = answer.headers["ETag"]
    await get(server, path, 304, **{"If-None-Match": etag})
    await get(server, path, 200, **{"If-None-Match": '"other"'})


@pytest.mark.parametrize("path", ["/api/account/equity", "/api/symbol/BTCUSDT/series"])
async def test_large_answers_are_encoded_as_the_caller_likes(server, path):
    async def ask(accepts, **headers):
        answer = await server.client.get(path, headers={"Accept-Encoding": accepts} | headers, auto_decompress=False)
        assert answer.headers["Vary"] == "Accept-Encoding"
        return answer.status, answer.headers.get("Content-Encoding"), answer.headers["ETag"], await answer.read()

    _, coding, etag, plain = await ask("identity")
    assert coding is None
    for accepts, expected in (
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd;q=0.5, gzip", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0, *;q=0.1", "gzip"),
    ):
        status, coding, same, packed = await ask(accepts)
        assert (status, coding, same) == (200, expected, etag)
        assert pa.CompressedInputStream(pa.BufferReader(packed), coding).read() == plain
        assert len(packed) < len(plain) / 2
        assert (await ask(accepts, **{"If-None-Match": etag}))[0] == 304  # whatever coding it was held in
    for none in ("", "identity, zstd;q=0.5", "zstd;q=0, gzip;q=x", "br"):
        assert (await ask(none))[1:] == (None, etag, plain)


async def test_a_position_says_since_when_it_has_no_confirmed_stop(server):
    url = server.resources.settings.database_url
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO account_snapshots SELECT ts, 'live', equity, wallet_balance, unrealized_pnl, "
            "available_margin, used_margin, margin_ratio, day_start_equity FROM account_snapshots WHERE ts = %s",
            (NEWEST,),
        )
        conn.execute(
            "INSERT INTO positions (symbol, ts, side, mode, amt, sl_price) "
            "VALUES ('BTCUSDT', %s, 'LONG', 'live', 1, 90)",
            (NEWEST,),
        )
    held = (await get(server, "/api/positions/latest?mode=live"))[0]
    assert (held["protected"], held["unprotected_since"]) == (True, None)
    since = "2026-03-01T01:59:30.000Z"
    live = {
        "ready": True, "stream_up": True, "latch": "RUNNING", "latch_code": "", "latch_since": None, "trips": [],
        "blocks": [], "positions": 1, "unprotected": ["BTCUSDT"], "unprotected_since": {"BTCUSDT": since},
        "locked": {}, "paused": [], "entries_unknown": 0, "stop_path_proven": True, "proofs": {}, "naked_ms": None,
        "equity": None,
    }  # fmt: skip
    heartbeat(url, {"live": live})
    held = (await get(server, "/api/positions/latest?mode=live"))[0]
    assert (held["protected"], held["unprotected_since"]) == (False, since)


async def test_the_agents_models_meet_their_criteria_or_are_refused(server):
    url = server.resources.settings.database_url
    with psycopg.connect(url, autocommit=True) as conn:
        for name, metrics in (("good", {"PF": 1.5, "max_dd": 0.05}), ("bad", {"PF": 1.1})):
            conn.execute(
                "INSERT INTO rl_models (model_id, symbol, train_start, train_end, metrics) "
                "VALUES (%s, 'BTCUSDT', now(), now(), %s)",
                (name, json.dumps(metrics)),
            )
            for day in (0, 8):
                conn.execute(
                    "INSERT INTO rl_decisions (ts, symbol, model_id, mode, action, action_name, confidence, executed, "
                    "pnl_result, created_at) VALUES (%s, 'BTCUSDT', %s, 'shadow', %s, %s, 0.5, TRUE, 2, now() + %s * "
                    "interval '1 day')",
                    (NEWEST, name, day // 8, ("HOLD", "LONG")[day // 8], day * (name == "good")),
                )

    async def promote(name, status):
        body = {"reason": "better"}
        async with server.client.post(f"/api/rl/models/{name}/promote", json=body) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json(content_type=None)

    codes = [one["code"] for one in (await promote("bad", 409))["conditions"]]
    assert codes == ["RL_SHADOW_TOO_SHORT", "RL_PROFIT_FACTOR", "RL_DRAWDOWN"]
    assert (await promote("good", 200))["is_production"]
    await promote("none", 404)
    assert (await get(server, "/api/rl/models"))[0]["model_id"] == "good"
    assert (await get(server, "/api/rl/models/bad"))["is_production"] is False
    told = await get(server, "/api/rl/decisions/stats?model_id=good")
    assert (told["decisions"], [(one["action_name"], one["pnl"], one["wins"]) for one in told["actions"]]) == (
        2, [("HOLD", 2.0, 1), ("LONG", 2.0, 1)],
    )  # fmt: skip
    async with server.client.get("/api/rl/decisions?limit=3") as answer:
        assert len(await answer.json()) == 3
        following = answer.headers["Link"].split(">")[0].lstrip("<")
    assert len(await get(server, following)) == 1
