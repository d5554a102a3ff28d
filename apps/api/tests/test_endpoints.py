"""Every endpoint over a database with a little of everything, and over an empty one."""

from datetime import datetime

import numpy as np
import pytest

from apps.api.tests.seed import BARS, MODEL, NEWEST_MS, START_MS, SYMBOLS, minute
from packages.common.time import MINUTE_MS, from_datetime, iso, wall_ms
from packages.common.types import (
    AccountDTO,
    InstrumentDTO,
    JobDTO,
    ModelDTO,
    OrderDTO,
    SignalDTO,
    StatusDTO,
)

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]
NEWEST = "2026-03-01T01:59:00.000Z"


async def get(server, path, status=200):
    async with server.client.get(path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=None)


async def problem_of(server, path, status=422):
    async with server.client.get(path) as answer:
        body = await answer.json(content_type=None)
        assert (answer.status, answer.content_type) == (status, "application/problem+json"), body
        assert body["status"] == status
        assert body["type"].startswith("urn:perpilot:problem:")
        return body


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/universe", []),
        ("/api/account/latest", None),
        ("/api/positions/latest", []),
        ("/api/orders", {"items": [], "next_cursor": None}),
        ("/api/trades", {"items": [], "next_cursor": None}),
        ("/api/signals/latest", {"ts": None, "items": []}),
        ("/api/training/jobs", []),
        ("/api/models", []),
        ("/api/status/processes", []),
        ("/api/drift", {"ts": [], "psi_mean": [], "psi_max": [], "symbols": []}),
    ],
)
async def test_an_empty_database_is_an_empty_answer(shared_api, path, expected):
    assert await get(shared_api, path) == expected


async def test_an_empty_database_has_no_health_to_claim(shared_api):
    status = StatusDTO.model_validate(await get(shared_api, "/api/status"))
    assert not status.collector_ok
    assert (status.latest_candle_ts, status.symbols_total, status.mode) == (None, 0, "off")
    risk = await get(shared_api, "/api/risk/state")
    assert all(guard["value"] is None and guard["limit"] > 0 for guard in risk["guards"])
    assert risk["funnel_hour"]["rows"] == 0
    quality = await get(shared_api, "/api/data-quality/summary")
    assert quality["market_ts"] is None
    assert quality["missing_rate_24h"] is None
    assert (await get(shared_api, "/api/account/equity"))["ts"] == []


async def test_universe_shows_the_delisted_and_hides_what_left(shared_desk):
    found = [InstrumentDTO.model_validate(row) for row in await get(shared_desk, "/api/universe")]
    assert [(i.symbol, i.tradable) for i in found] == [*((s, True) for s in SYMBOLS), ("BNXUSDT", False)]
    assert (found[0].latest_candle_ts, found[3].latest_candle_ts, found[3].tick_size) == (NEWEST, None, None)


async def test_account_adds_what_was_booked(shared_desk):
    account = AccountDTO.model_validate(await get(shared_desk, "/api/account/latest"))
    assert (account.ts, account.start_equity, account.realized_pnl) == (NEWEST, 10_000.0, 15.0)
    # three trades, and one open position with costs that are known
    assert account.fees == pytest.approx(3 * 0.25 + 1)
    assert account.funding == pytest.approx(3 * 0.25 + 0.5)
    assert account.slippage == pytest.approx(3 * 0.5 + 0.25)
    assert account.day_pnl == pytest.approx(account.equity - 10_100)
    assert await get(shared_desk, "/api/account/latest?mode=live") is None


async def test_equity_curve_carries_its_drawdown(shared_desk):
    curve = await get(shared_desk, "/api/account/equity")
    equity = np.array(curve["equity"])
    assert curve["ts"][0] == START_MS
    assert curve["ts"][-1] == NEWEST_MS
    np.testing.assert_allclose(curve["drawdown"], 1 - equity / np.maximum.accumulate(equity), atol=1e-15)


@pytest.mark.parametrize(("path", "key", "total"), [("/api/orders", "order_id", 7), ("/api/trades", "symbol", 3)])
async def test_pages_cover_everything_once_and_in_order(shared_desk, path, key, total):
    whole = await get(shared_desk, path)
    assert whole["next_cursor"] is None
    seen, cursor = [], ""
    for _ in range(10):
        page = await get(shared_desk, f"{path}?limit=2{cursor}")
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == whole["items"]
    assert len({item[key] for item in seen}) == total


async def test_orders_carry_their_fills(shared_desk):
    found = [OrderDTO.model_validate(row) for row in (await get(shared_desk, "/api/orders"))["items"]]
    filled = next(order for order in found if order.order_id == 0)
    assert filled.avg_price == pytest.approx(102.0)
    assert filled.fee == pytest.approx(0.2)
    assert [order.avg_price for order in found if order.order_id != 0] == [None] * 6


async def test_lists_keep_to_span_mode_and_symbol(shared_desk):
    start, end = int(minute(1).timestamp() * 1000), int(minute(3).timestamp() * 1000)
    page = await get(shared_desk, f"/api/orders?from={start}&to={end}")
    assert {order["order_id"] for order in page["items"]} == {2, 3, 4, 5}
    assert (await get(shared_desk, "/api/orders?mode=live"))["items"] == []
    assert (await get(shared_desk, "/api/orders?symbol=ETHUSDT"))["items"] == []
    assert [t["symbol"] for t in (await get(shared_desk, "/api/trades?symbol=ETHUSDT"))["items"]] == ["ETHUSDT"]


async def test_trades_add_up(shared_desk):
    for trade in (await get(shared_desk, "/api/trades"))["items"]:
        costs = trade["slippage"] + trade["fees"] + trade["liquidation_fee"] + trade["funding"]
        assert trade["net"] == pytest.approx(trade["gross"] - costs + trade["absorbed"])
        assert trade["r_multiple"] == pytest.approx(2.5)


async def test_signals_are_one_row_a_symbol_without_the_challenger(shared_desk):
    answer = await get(shared_desk, "/api/signals/latest")
    rows = [SignalDTO.model_validate(row) for row in answer["items"]]
    assert answer["ts"] == NEWEST
    assert [row.symbol for row in rows] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]  # 0.002, 0.001 (short), unknown
    assert {row.model_id for row in rows} == {str(MODEL)}
    btc, eth, sol = rows
    assert (btc.decision, btc.block_reasons, btc.size_notional, btc.funding_rate) == ("LONG", [], 500.0, 0.0001)
    assert btc.close is not None
    assert btc.ret_60 is not None
    assert btc.mark_price == pytest.approx(btc.close + 0.02)
    assert (eth.q05_long, eth.block_reasons) == (None, ["EV_BELOW_MIN", "Q05_BELOW_MIN"])
    assert eth.block_details[0].distance == pytest.approx(-0.001)
    assert (sol.ev_long, sol.close, sol.block_reasons) == (None, None, ["FEATURE_NAN"])


@pytest.mark.parametrize(
    ("query", "symbols"),
    [
        ("sort=symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT"]),
        ("sort=funding", ["ETHUSDT", "BTCUSDT", "SOLUSDT"]),
        ("sort=volatility", ["ETHUSDT", "BTCUSDT", "SOLUSDT"]),
        ("sort=universe&limit=1", ["BTCUSDT"]),
        ("blocked=true", ["ETHUSDT", "SOLUSDT"]),
        ("blocked=false", ["BTCUSDT"]),
        ("mode=live", []),
    ],
)
async def test_signals_are_sorted_and_filtered(shared_desk, query, symbols):
    assert [row["symbol"] for row in (await get(shared_desk, f"/api/signals/latest?{query}"))["items"]] == symbols


async def test_jobs_tell_progress_and_time_left(shared_desk):
    asked = wall_ms()
    running, failed = (JobDTO.model_validate(row) for row in await get(shared_desk, "/api/training/jobs"))
    least, most = ((at - from_datetime(datetime.fromisoformat(running.started_at))) / 1e3 for at in (asked, wall_ms()))
    assert 3 * least - 1 <= running.eta_s <= 3 * most + 1  # a quarter is done
    assert (failed.error, failed.progress, failed.eta_s) == ("disk full", 0.0, None)
    assert [job["kind"] for job in await get(shared_desk, "/api/training/jobs?kind=train_model")] == ["train_model"]
    assert await get(shared_desk, "/api/training/jobs?status=succeeded") == []


async def test_models_say_what_they_are_used_for(shared_desk):
    found = [ModelDTO.model_validate(row) for row in await get(shared_desk, "/api/models")]
    assert {model.pointer for model in found} == {"demo", "challenger"}
    detail = await get(shared_desk, f"/api/models/{MODEL}")
    assert detail["label_spec"] == {"h_bars": 360}
    assert [(e["kind"], e["passed"], e["valid"]) for e in detail["evidence"]] == [("oos", True, False)]


async def test_risk_shows_value_limit_and_distance(shared_desk):
    state = await get(shared_desk, "/api/risk/state")
    equity = (await get(shared_desk, "/api/account/latest"))["equity"]
    guards = {guard["code"]: guard for guard in state["guards"]}
    assert guards["MAX_POSITIONS"]["value"] == 2
    assert guards["MAX_TOTAL_NOTIONAL"]["value"] == pytest.approx(3020 / equity)
    assert guards["MAX_DIRECTIONAL_NOTIONAL"]["value"] == pytest.approx(2000 / equity)
    assert guards["BETA_CAP"]["value"] == pytest.approx(abs(1020 * 1 - 2000 * 2) / equity)
    assert guards["DAILY_LOSS_LIMIT"]["value"] == pytest.approx(1 - equity / 10_100)
    for guard in state["guards"]:
        assert guard["distance"] == pytest.approx(guard["limit"] - guard["value"])
    minute_, hour = state["funnel_minute"], state["funnel_hour"]
    assert (minute_["rows"], minute_["traded"], minute_["blocked"], minute_["flat"]) == (3, 1, 2, 0)
    assert (minute_["from_ts"], minute_["to_ts"]) == (NEWEST, iso(NEWEST_MS + MINUTE_MS))
    assert (hour["rows"], hour["traded"], hour["blocked"]) == (180, 1, 179)
    reasons = {reason["code"]: (reason["primary"], reason["all"]) for reason in hour["reasons"]}
    assert reasons == {"EV_BELOW_MIN": (119, 119), "FEATURE_NAN": (60, 60), "Q05_BELOW_MIN": (0, 119)}
    assert [event["event_type"] for event in state["events"]] == ["DAILY_LOSS_LIMIT"]


async def test_data_quality_counts_what_is_missing(shared_desk):
    summary = await get(shared_desk, "/api/data-quality/summary")
    by_symbol = {row["symbol"]: row for row in summary["symbols"]}
    missing = {s: by_symbol[s]["missing_24h"] for s in by_symbol}
    assert missing == {
        "BTCUSDT": 0,
        "ETHUSDT": 5,
        "SOLUSDT": 10,
        "BNXUSDT": 0,
    }
    assert summary["missing_rate_24h"] == pytest.approx(15 / (3 * BARS))
    assert by_symbol["SOLUSDT"]["age_ms"] == 600_000
    assert by_symbol["BTCUSDT"]["late_24h"] == 60
    assert by_symbol["BNXUSDT"]["missing_rate_24h"] is None
    assert (summary["open_gaps"], by_symbol["ETHUSDT"]["open_gaps"], summary["gaps"][0]["missing_bars"]) == (1, 1, 5)
    assert [(e["symbol"], e["code"]) for e in summary["events"]] == [("ETHUSDT", "NAN_PRICE")]


async def test_drift_is_a_series_over_the_symbols_measured(shared_desk):
    first, then = START_MS, START_MS + 3_600_000
    found = await get(shared_desk, "/api/drift")
    assert found["ts"] == [first, then]
    assert found["psi_mean"] == pytest.approx([0.3, 0.1])
    assert found["psi_max"] == pytest.approx([0.3, 0.15])
    assert [(row["symbol"], row["psi"]) for row in found["symbols"]] == [("BTCUSDT", 0.05), ("ETHUSDT", 0.15)]
    assert found["symbols"][0]["outlier_rate"] == 0.02
    one = await get(shared_desk, f"/api/drift?symbol=ETHUSDT&to={then}")
    assert (one["ts"], one["psi_max"], one["symbols"][0]["psi"]) == ([first], [None], None)  # measured, nothing finite
    assert (await get(shared_desk, "/api/drift?symbol=NOUSDT"))["ts"] == []


async def test_settings_have_the_names_of_the_specification(shared_desk):
    values = (await get(shared_desk, "/api/settings"))["values"]
    assert {
        "MODE",
        "TRADING_ENABLED",
        "UNIVERSE",
        "FLUSH_INTERVAL_MS",
        "K_TP",
        "EV_MIN",
        "DAILY_LOSS_LIMIT_PCT",
    } <= set(values)
    assert values["MAX_USED_MARGIN_PCT"] == 0.35
    assert not any("URL" in name or name == "VAR_DIR" for name in values)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/orders?from=yesterday", "from"),
        ("/api/orders?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
        ("/api/orders?limit=0", "limit"),
        ("/api/orders?limit=1e9", "limit"),
        ("/api/orders?cursor=AAAA", "cursor"),
        ("/api/orders?symbol=btc%00usdt", "symbol"),
        ("/api/orders?symbol=';--", "symbol"),
        ("/api/orders?mode=paper", "mode"),
        ("/api/trades?cursor=%00", "cursor"),
        ("/api/trades?to=99999999999999999999999", "to"),
        ("/api/account/equity?from=1&to=2", "to"),
        ("/api/account/latest?mode=", "mode"),
        ("/api/signals/latest?sort=luck", "sort"),
        ("/api/signals/latest?blocked=maybe", "blocked"),
        ("/api/training/jobs?kind=%00", "kind"),
        ("/api/training/jobs?status=done", "status"),
        ("/api/models/1", "model_id"),
        ("/api/risk/state?mode=x", "mode"),
        ("/api/symbol/btcusdt/series", "symbol"),
        ("/api/symbol/BTCUSDT/series?from=2020-01-01T00:00:00Z", "from"),
    ],
)
async def test_bad_parameters_name_field_value_and_expectation(shared_desk, path, field):
    body = await problem_of(shared_desk, path)
    assert body["code"] == "INVALID_INPUT"
    assert [error["field"] for error in body["errors"]] == [field]
    assert all(error["expected"] for error in body["errors"])


@pytest.mark.parametrize(
    "path",
    ["/api/models/00000000-0000-0000-0000-0000000000ff", "/api/symbol/NOSUCHUSDT/series", "/api/nothing", "/api"],
)
async def test_what_is_not_there_is_a_problem_too(shared_desk, path):
    assert (await problem_of(shared_desk, path, 404))["code"] == "NOT_FOUND"


async def test_a_wrong_method_is_said_to_be_one(shared_desk):
    async with shared_desk.client.put("/api/status", json={}) as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET"
        assert (await answer.json(content_type=None))["code"] == "METHOD_NOT_ALLOWED"


async def test_numbers_that_are_none_are_null_not_nan(shared_desk):
    for path in ("/api/positions/latest", "/api/signals/latest", "/api/symbol/ETHUSDT/series", "/api/risk/state"):
        async with shared_desk.client.get(path) as answer:
            text = await answer.text()
        assert "NaN" not in text
        assert "Infinity" not in text


async def test_metrics_count_by_route_and_not_by_symbol(shared_desk):
    for symbol in SYMBOLS:
        await get(shared_desk, f"/api/symbol/{symbol}/series")
    async with shared_desk.client.get("/metrics") as answer:
        text = await answer.text()
    assert 'perpilot_api_requests_total{method="GET",route="/api/symbol/{symbol}/series",status="200"}' in text
    assert "BTCUSDT" not in text


@pytest.mark.parametrize(
    ("path", "field", "expected"),
    [
        (
            "/api/orders?form=2026-01-01T00:00:00Z",
            "form",
            "one of the parameters cursor, from, limit, mode, symbol, to",
        ),
        ("/api/orders?limit=5&limit=6", "limit", "one value"),
        ("/api/status?x=1", "x", "one of the parameters (none)"),
    ],
)
async def test_a_parameter_that_is_not_known_is_refused(shared_api, path, field, expected):
    async with shared_api.client.get(path) as answer:
        assert answer.status == 422
        (error,) = (await answer.json())["errors"]
        assert (error["field"], error["expected"]) == (field, expected)


async def test_a_parameter_that_is_a_list_may_be_given_often(shared_api):
    async with shared_api.client.get("/api/annotations?kind=promotion&kind=halt") as answer:
        assert answer.status == 200, await answer.text()


@pytest.mark.parametrize(
    ("body", "field", "expected"),
    [
        ("{", "body", "JSON"),
        ("[]", "body", "an object"),
        ('{"mode": "off", "reason": "a look", "x": 1}', "x", "no field of this name"),
    ],
)
async def test_a_body_that_cannot_be_read_is_told_in_words(shared_api, body, field, expected):
    headers = {"Content-Type": "application/json"}
    async with shared_api.client.post("/api/trading/toggle", data=body, headers=headers) as answer:
        assert answer.status == 422
        (error,) = (await answer.json())["errors"]
        assert error["field"] == field
        assert error["expected"].startswith(expected)
