"""Every operation of the document has an example that a real desk answered, and would answer again."""

import json
import os
from datetime import timedelta
from uuid import UUID

import aiohttp
import jsonschema
import psycopg
import pytest
from psycopg.types.json import Jsonb

from apps.api import examples
from apps.api.export_openapi import document
from apps.api.tests.conftest import fresh_database
from apps.api.tests.running import running, settings_for
from apps.api.tests.seed import CHALLENGER, MODEL, NEWEST, attributed, heartbeat, lapsed, minute
from packages.common.time import wall_ms
from packages.common.types import StatusDTO

pytestmark = pytest.mark.integration
RECORD = os.environ.get("API_RECORD_EXAMPLES") == "1"
SECRET = {"csrf", "token", "link", "secret", "uri", "qr_svg", "recovery_codes", "worker_heartbeat"}
SPAN = {"symbol": "ETHUSDT", "from": "2026-02-28T22:00Z", "to": "2026-03-01T00:00Z"}
REASON = {"reason": "spreads are wide"}
PASSWORD = {"password": "a long one that nobody knows"}
JOB = {"kind": "label_recent", "params": {"preset": "swing"}}
LIVE = {
    "ready": True, "stream_up": True, "latch": "RUNNING", "latch_code": "", "latch_since": None, "trips": [],
    "blocks": [], "positions": 1, "unprotected": [], "unprotected_since": {}, "locked": {"BTCUSDT": "protected"},
    "paused": [], "entries_unknown": 0, "stop_path_proven": True, "proofs": {}, "naked_ms": None, "equity": "10000",
}  # fmt: skip
ROW = {"symbol": "BTCUSDT", "ts": "2026-03-01T01:59:00Z"}
EXPLAINED = {
    "model_id": str(MODEL),
    "inputs": {"ret_1": 0.0004, "funding_rate": 0.0001},
    "targets": {
        "er_long": {
            "prediction": 0.0021, "base": 0.0009, "unit": "fraction", "rest": 0.0002,
            "top": [{"feature": "ret_1", "contribution": 0.0006}, {"feature": "funding_rate", "contribution": 0.0004}],
        }
    },
}  # fmt: skip
ATTRIBUTION = {
    "size": "0", "entry": "0", "exit": "1.2", "latency": "-0.3", "slippage": "0.1", "fee": "0.5", "funding": "0",
    "liquidation": "0", "difference": "1.5",
}  # fmt: skip
OVERRIDE = {"reason": "the old one is broken", "override": True, "confirm": str(CHALLENGER)}
# operation → path and body; a path of several is the first that the seeded desk answers with 2xx
CALLS = {
    "getEquity": "/api/account/equity", "getEquityOverlay": "/api/account/equity/overlay",
    "getAccount": "/api/account/latest", "getProfit": "/api/account/profit", "listAnnotations": "/api/annotations",
    "listQualityEvents": "/api/data-quality/events", "listGaps": "/api/data-quality/gaps",
    "getDataQualityMap": "/api/data-quality/map", "getDataQuality": "/api/data-quality/summary",
    "getDrift": "/api/drift", "getExecution": "/api/execution", "getAttribution": "/api/execution/attribution",
    "listAttributedTrades": "/api/execution/attribution/trades", "listFills": "/api/fills",
    "listIntents": "/api/intents", "getFunnel": "/api/funnel",
    "getLatency": "/api/latency", "listModels": "/api/models", "getModel": f"/api/models/{MODEL}",
    "getEvidence": f"/api/models/{MODEL}/evidence", "listOrders": "/api/orders", "listOpenOrders": "/api/orders/open",
    "listPositions": "/api/positions/latest", "listRiskEvents": "/api/risk/events", "getRiskState": "/api/risk/state",
    "listRLDecisions": "/api/rl/decisions", "getRLDecisionStats": "/api/rl/decisions/stats",
    "listRLModels": "/api/rl/models", "getRLModel": "/api/rl/models/ppo_btc_1", "listSchedules": "/api/schedules",
    "getExplain": "/api/signals/explain?symbol=BTCUSDT&ts=2026-03-01T01:59:00Z", "listSignals": "/api/signals/latest",
    "getStatus": "/api/status", "listProcesses": "/api/status/processes", "getSeries": "/api/symbol/BTCUSDT/series",
    "getWhyNot": "/api/symbol/ETHUSDT/why-not", "listTrades": "/api/trades", "getGate": "/api/trading/gate",
    "getTradingState": "/api/trading/state", "listJobs": "/api/training/jobs",
    "getJob": f"/api/training/jobs/{UUID(int=10)}", "listInstruments": "/api/universe", "getHealth": "/healthz",
    "getReadiness": "/readyz", "getMe": "/api/auth/me", "listSessions": "/api/auth/sessions",
    "startJob": ("/api/training/jobs", JOB), "cancelJob": (f"/api/training/jobs/{UUID(int=10)}/cancel", REASON),
    "retryJob": (f"/api/training/jobs/{UUID(int=12)}/retry", {}),
    "startRepair": ("/api/data-quality/repair", SPAN),
    "changeSchedule": ("/api/schedules/train_model", {"every": "3d"}),
    "runSchedule": ("/api/schedules/compute_drift/run", {}), "explainSignal": ("/api/signals/explain", ROW),
    "promoteModel": (f"/api/models/{CHALLENGER}/promote", OVERRIDE),
    "rollbackModel": ("/api/models/rollback", {"reason": "it loses", "kind": "demo"}),
    "promoteRLModel": ("/api/rl/models/ppo_btc_1/promote", {"reason": "better out of sample"}),
    "changeSettings": ("/api/settings", {"changes": {"EV_MIN": 0.001}, "reason": "wide spreads"}),
    "restartWorker": ("/api/settings/restart", {"reason": "two symbols came"}),
    "getSettings": "/api/settings", "listSettingsVersions": "/api/settings/versions",
    "toggleTrading": ("/api/trading/toggle", {"mode": "shadow", "reason": "data is whole"}),
    "moveKillSwitch": ("/api/trading/kill-switch", {"action": "halt", "reason": "news ahead"}),
    "closePosition": ("/api/positions/BTCUSDT/close", REASON), "pauseSymbol": ("/api/symbols/BTCUSDT/pause", REASON),
    "unpauseSymbol": ("/api/symbols/BTCUSDT/unpause", REASON), "listDeskCommands": "/api/trading/commands",
    "createUser": ("/api/users", {"name": "kim", "role": "operator"}),
    "changeUser": ("/api/users/kim", {"role": "viewer"}), "linkUser": ("/api/users/kim/link", None),
    "resetTotp": ("/api/users/kim/reset-totp", None),
    "endUserSessions": ("/api/users/kim/end-sessions", None), "listUsers": "/api/users",
    "createToken": ("/api/auth/tokens", {"name": "report", "scopes": ["read"], "days": 30}),
    "listTokens": "/api/auth/tokens", "listAudit": "/api/audit?limit=2",
}  # fmt: skip
SIGNING_IN = {  # each needs a sign-in of its own: what they answer is what getMe answers
    "useLink": {"token": "…"}, "login": {"name": "kim", **PASSWORD}, "stepUp": {"code": "123456"},
    "changePassword": PASSWORD, "removeTotp": {"code": "123456"}, "confirmTotp": {"code": "123456"}, "startTotp": {},
}  # fmt: skip
TOTP = {"secret": "…", "uri": "…", "qr_svg": "…"}
WITHOUT = {"logout", "endSession", "endToken", "getModelReport"}  # nothing to show: 204, or a page


def prepare(url):
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("UPDATE model_pointers SET previous_model_id = %s WHERE kind = 'demo'", (CHALLENGER,))
        conn.execute(
            "UPDATE signals SET explain = %s WHERE symbol = 'BTCUSDT' AND ts = %s AND model_id = %s",
            (Jsonb(EXPLAINED), NEWEST, MODEL),
        )
        conn.execute(
            "INSERT INTO jobs (job_id, kind, status, config, ended_at) "
            "VALUES (%s, 'compute_drift', 'failed', '{\"hours\": 6}', now())",
            (UUID(int=12),),
        )
        attributed(conn, "ETHUSDT", 0, ATTRIBUTION, net=6.5)
        lapsed(conn, "BTCUSDT", NEWEST, ("SPREAD_TOO_WIDE",))
        conn.execute(
            "INSERT INTO rl_models (model_id, symbol, train_start, train_end, metrics) VALUES "
            "('ppo_btc_1', 'BTCUSDT', %s, %s, '{\"PF\": 1.4, \"max_dd\": 0.06}')",
            (minute(0), NEWEST),
        )
        for day, action in ((0, "HOLD"), (8, "LONG")):
            conn.execute(
                "INSERT INTO rl_decisions (ts, symbol, model_id, mode, action, action_name, confidence, action_probs, "
                "executed, pnl_result, created_at) VALUES (%s, 'BTCUSDT', 'ppo_btc_1', 'shadow', %s, %s, 0.7, "
                '\'{"HOLD": 0.3, "LONG": 0.7}\', TRUE, 1.5, %s)',
                (minute(day), day // 8, action, NEWEST + timedelta(days=day)),
            )
        conn.execute(
            "INSERT INTO decisions (ts, mode, model_id, symbols, inputs, outputs, state, format, decided_at, timings) "
            "VALUES (%s, 'shadow', %s, '{}', '', '', '', 1, %s, %s)",
            (NEWEST, MODEL, NEWEST + timedelta(minutes=1, seconds=1), Jsonb({"decision": 0.4, "minute": 1.0})),
        )
    said = StatusDTO(
        collector_ok=True, userstream_ok=True, latest_candle_ts="2026-03-01T01:59:00.000Z", latest_feature_ts=None,
        latest_signal_ts=None, queue_lag={"writer_rows": 3.0}, latency_ms={"minute": 1.2}, mode="shadow",
    )  # fmt: skip
    gate = {"asked_at_ms": wall_ms(), "conditions": []}
    heartbeat(url, said.model_dump() | {"live": LIVE | {"gate": gate}})


def shorter(value):
    """At most two of a list, and no secret."""
    if isinstance(value, list):
        return [shorter(one) for one in value[:2]]
    if isinstance(value, dict):
        return {
            name: (["…"] if isinstance(one, list) else 0.0 if isinstance(one, float) else one and "…")
            if name in SECRET
            else shorter(one)
            for name, one in value.items()
        }
    return value


async def ask(server, operation, method):
    """The example of ``operation``, from the desk."""
    path, body = CALLS[operation] if isinstance(CALLS[operation], tuple) else (CALLS[operation], None)
    sent = {"json": body} if body is not None else {"headers": {"Content-Type": "application/json"}}
    async with server.client.request(method, path, **(sent if method == "POST" else {})) as answer:
        assert 200 <= answer.status < 300, (operation, answer.status, await answer.text())
        told = await answer.json(content_type=None)
    return ({} if body is None else {"request": body}) | {"response": shorter(told)}


async def test_every_operation_is_shown_by_what_a_desk_answers(postgres_server, redis_server):
    url = fresh_database(postgres_server, seeded=True)
    prepare(url)
    described = json.loads(document())
    operations = {
        found["operationId"]: (method.upper(), found)
        for methods in described["paths"].values()
        for method, found in methods.items()
    }
    assert CALLS.keys() | SIGNING_IN.keys() | WITHOUT == operations.keys()
    found = {}
    settings = settings_for(url, redis_server.url, mode="live")
    async with running(settings) as server:
        server.client._timeout = aiohttp.ClientTimeout(total=20)
        for operation in CALLS:  # in this order
            found[operation] = await ask(server, operation, operations[operation][0])
    for operation, body in SIGNING_IN.items():
        answer = found["getMe"]["response"]
        answer = TOTP if operation == "startTotp" else answer
        answer = answer | {"recovery_codes": ["…"]} if operation == "confirmTotp" else answer
        found[operation] = {"request": body, "response": answer}
    if RECORD:
        text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False)
        examples.FILE.write_text(text + "\n", encoding="utf-8")
        return
    kept = examples.recorded()
    assert kept.keys() == found.keys()
    for operation, example in kept.items():
        assert shape(example["response"]) == shape(found[operation]["response"]), operation
        (answer,) = (
            told["content"]["application/json"]
            for status, told in operations[operation][1]["responses"].items()
            if status.startswith("2")
        )
        assert answer["example"] == example["response"]
        schema = answer.get("schema", {}) | {"components": described["components"]}
        jsonschema.Draft202012Validator(schema).validate(example["response"])


def shape(value):
    """Names, without values: what a new field or a lost one changes. Rows of a list may have their own."""
    return {name: shape(one) for name, one in value.items()} if isinstance(value, dict) else None
