"""What the desk lets people do beside trading, over a real server: jobs, schedules, models, explanations."""

import json
from uuid import UUID

import numpy as np
import psycopg
import pytest
import pytest_asyncio
from psycopg.types.json import Jsonb

from apps.api import audit
from apps.api.tests.conftest import fresh_database
from apps.api.tests.running import call, running, settings_for
from apps.api.tests.seed import CHALLENGER, MODEL, NEWEST, minute
from apps.worker_batch.scheduler import Scheduler
from apps.worker_batch.schedules import SCHEDULES
from packages.common.time import from_datetime
from packages.common.types import TARGETS
from services.features import schema
from services.inference import explain
from services.registry.package import ModelPackage, save_package

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(postgres_server, redis_server):
    async with running(settings_for(fresh_database(postgres_server, seeded=True), redis_server.url)) as found:
        yield found


def database(server, query, *values):
    with psycopg.connect(server.resources.settings.database_url, autocommit=True) as conn:
        cursor = conn.execute(query, values)
        return cursor.fetchall() if cursor.description else None


def audited(server, action):
    rows = database(server, "SELECT actor, target, reason FROM audit_log WHERE action = %s ORDER BY seq", action)
    return [tuple(row) for row in rows]


# --- jobs -----------------------------------------------------------------------------------------------------------


async def test_equal_requests_are_one_job_until_it_ends(server):
    body = {"kind": "train_model", "params": {"folds": 2}}
    first = await call(server, "POST", "/api/training/jobs", 202, body)
    assert (first["status"], first["config"]) == ("queued", {"folds": 2})
    assert (await call(server, "POST", "/api/training/jobs", 202, body))["job_id"] == first["job_id"]
    assert audited(server, "job.start") == [("admin", first["job_id"], None)]
    path = f"/api/training/jobs/{first['job_id']}"
    refused = await call(server, "POST", f"{path}/retry", 409, {})
    assert refused["conditions"][0]["code"] == "JOB_NOT_ENDED"
    gone = await call(server, "POST", f"{path}/cancel", 202, {"reason": "not now"})
    assert gone["status"] == "cancelled"  # nobody had begun
    refused = await call(server, "POST", f"{path}/cancel", 409, {"reason": "again"})
    assert refused["conditions"][0]["code"] == "JOB_ENDED"
    again = await call(server, "POST", f"{path}/retry", 202, {})
    assert (again["status"], again["kind"], again["config"]) == ("queued", "train_model", {"folds": 2})
    assert again["job_id"] != first["job_id"]
    assert (await call(server, "GET", f"/api/training/jobs/{again['job_id']}", 200)) == again


async def test_the_message_reaches_the_broker_and_every_screen(server):
    job = await call(server, "POST", "/api/training/jobs", 202, {"kind": "sync_store"})
    waiting = await server.resources.redis.lrange("perpilot.data", 0, -1)
    assert any(job["job_id"].encode() in json.loads(message)["headers"]["argsrepr"].encode() for message in waiting)
    shown = await server.resources.redis.xrevrange("training_updates", count=1)
    assert json.loads(shown[0][1][b"data"]) == job


async def test_a_running_job_is_asked_to_stop_once(server):
    path = f"/api/training/jobs/{UUID(int=10)}/cancel"
    for _ in range(2):
        assert (await call(server, "POST", path, 202, {"reason": "too slow"}))["status"] == "running"
    assert database(server, "SELECT cancel_requested FROM jobs WHERE job_id = %s", UUID(int=10)) == [(True,)]
    assert audited(server, "job.cancel").count(("admin", str(UUID(int=10)), "too slow")) == 1
    await call(server, "POST", f"/api/training/jobs/{UUID(int=404)}/cancel", 404, {"reason": "r"})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "promote_model", "params": {"kind": "demo"}}, "kind"),
        ({"kind": "job:promote_model"}, "kind"),
        ({"kind": "train_model", "params": {"promote": "demo"}}, "params.promote"),
        ({"kind": "nonsense"}, "kind"),
    ],
)
async def test_starting_a_job_moves_no_model_pointer(server, body, field):
    problem = await call(server, "POST", "/api/training/jobs", 422, body)
    assert problem["errors"][0]["field"] == field


async def test_jobs_are_walked_page_by_page(server):
    seen, path = [], "/api/training/jobs?limit=2"
    while path:
        async with server.client.get(path) as answer:
            seen += [job["job_id"] for job in await answer.json()]
            path = answer.headers["Link"].split(">")[0].lstrip("<") if "Link" in answer.headers else None
    assert len(seen) == len(set(seen)) == database(server, "SELECT count(*) FROM jobs")[0][0]
    await call(server, "GET", "/api/training/jobs?cursor=eHh4", 422)


async def test_a_repair_is_a_job_about_the_span(server):
    body = {"symbol": "ETHUSDT", "from": "2026-02-28T23:00:00Z", "to": "2026-03-01T00:00:00Z"}
    job = await call(server, "POST", "/api/data-quality/repair", 202, body)
    assert job["kind"] == "repair_data"
    assert job["config"] == {
        "symbols": ["ETHUSDT"], "from": "2026-02-28T23:00:00.000Z", "to": "2026-03-01T00:00:00.000Z",
    }  # fmt: skip
    await call(server, "POST", "/api/data-quality/repair", 404, body | {"symbol": "NOUSDT"})
    await call(server, "POST", "/api/data-quality/repair", 422, body | {"to": body["from"]})


# --- schedules ------------------------------------------------------------------------------------------------------


async def test_a_schedule_is_moved_switched_off_and_followed(server):
    rows = {row["name"]: row for row in await call(server, "GET", "/api/schedules", 200)}
    assert set(rows) == {schedule.kind for schedule in SCHEDULES}
    assert (rows["train_model"]["every"], rows["train_model"]["at"]) == ("7d", "40m")
    assert rows["train_model"]["last_job"]["kind"] == "train_model"
    assert (rows["walkforward_backtest"]["enabled"], rows["walkforward_backtest"]["next_ts"]) == (False, None)
    moved = await call(server, "POST", "/api/schedules/compute_drift", 200, {"every": "30m", "at": "0m"})
    assert (moved["every"], moved["at"], moved["default_every"]) == ("30m", "0m", "1h")
    off = await call(server, "POST", "/api/schedules/train_model", 200, {"enabled": False, "reason": "quiet"})
    assert (off["enabled"], off["next_ts"], off["every"]) == (False, None, "7d")
    await call(server, "POST", "/api/schedules/compute_drift", 422, {"at": "30m"})
    await call(server, "POST", "/api/schedules/compute_drift", 422, {"every": "0h"})
    await call(server, "POST", "/api/schedules/nonsense", 404, {"enabled": True})
    assert audited(server, "schedule.change")[-1] == ("admin", "train_model", "quiet")
    now_ms = from_datetime(NEWEST) + 60_000
    scheduler, app = Scheduler(), None
    with psycopg.connect(server.resources.settings.database_url, autocommit=True) as conn:
        scheduler.tick(conn, app, 0.0)  # the slot in which it starts counts as done, so nothing is sent
    due = {kind for kind, _ in scheduler.due(now_ms + 30 * 60_000, 1e9)}
    assert "compute_drift" in due
    due = {kind for kind, _ in scheduler.due(now_ms + 30 * 86_400_000, 2e9)}
    assert due.isdisjoint({"train_model", "walkforward_backtest"})
    assert "retention" in due


async def test_a_schedule_runs_now_once(server):
    job = await call(server, "POST", "/api/schedules/compute_drift/run", 202, {})
    assert (job["kind"], job["config"]) == ("compute_drift", {"as_of": "2026-03-01T02:00:00.000Z"})
    assert (await call(server, "POST", "/api/schedules/compute_drift/run", 202, {}))["job_id"] == job["job_id"]
    await call(server, "POST", "/api/schedules/promote_model/run", 404, {})


# --- models ---------------------------------------------------------------------------------------------------------


def prove(server, model, *kinds):
    for kind in kinds:
        database(
            server,
            "INSERT INTO model_evidence (model_id, kind, passed, figures, valid_until) "
            "VALUES (%s, %s, TRUE, '{}', now() + interval '1 day')",
            model, kind,
        )  # fmt: skip


async def test_promotion_needs_evidence_or_an_override_that_stays_visible(server):
    path = f"/api/models/{MODEL}"
    rows = {row["code"]: row for row in (await call(server, "GET", f"{path}/evidence", 200))["conditions"]}
    assert rows["NOT_RETIRED"]["met"]
    assert [rows[f"EVIDENCE_{kind}"]["met"] for kind in ("OOS", "PBO", "SHADOW", "PARITY", "DRIFT")] == [False] * 5
    problem = await call(server, "POST", f"{path}/promote", 409, {"reason": "hope"})
    assert len(problem["conditions"]) == 5
    prove(server, MODEL, "oos", "pbo")
    problem = await call(server, "POST", f"{path}/promote", 409, {"reason": "hope"})
    assert [row["code"] for row in problem["conditions"]] == ["EVIDENCE_SHADOW", "EVIDENCE_PARITY", "EVIDENCE_DRIFT"]
    override = {"reason": "the old one is broken", "override": True}
    for confirm in ({}, {"confirm": str(CHALLENGER)}):
        problem = await call(server, "POST", f"{path}/promote", 422, override | confirm)
        assert problem["errors"][0]["field"] == "confirm"
    done = await call(server, "POST", f"{path}/promote", 200, override | {"confirm": str(MODEL)})
    assert (done["model"]["is_production"], done["previous_model_id"]) == (True, None)
    (mark,) = (await call(server, "GET", path, 200))["overrides"]
    assert (mark["author"], mark["missing"]) == ("admin", ["shadow", "parity", "drift"])
    with pytest.raises(psycopg.errors.CheckViolation):
        database(server, "DELETE FROM model_overrides")
    refused = await call(server, "POST", "/api/models/rollback", 409, {"reason": "back"})
    assert refused["conditions"][0]["code"] == "NO_PREDECESSOR"

    prove(server, CHALLENGER, "oos", "pbo", "shadow", "parity", "drift")
    done = await call(server, "POST", f"/api/models/{CHALLENGER}/promote", 200, {"reason": "whole evidence"})
    assert (done["model"]["overrides"], done["previous_model_id"]) == ([], str(MODEL))
    back = await call(server, "POST", "/api/models/rollback", 409, {"reason": "it loses"})
    assert [row["code"] for row in back["conditions"]] == ["EVIDENCE_SHADOW", "EVIDENCE_PARITY", "EVIDENCE_DRIFT"]
    prove(server, MODEL, "shadow", "parity", "drift")
    back = await call(server, "POST", "/api/models/rollback", 200, {"reason": "it loses"})
    assert (back["model"]["model_id"], len(back["model"]["overrides"])) == (str(MODEL), 1)
    listed = {row["model_id"]: row for row in await call(server, "GET", "/api/models", 200)}
    assert (listed[str(MODEL)]["is_production"], listed[str(CHALLENGER)]["is_production"]) == (True, False)
    assert [row[2] for row in audited(server, "model.promote")] == ["the old one is broken", "whole evidence"]
    assert [row[2] for row in audited(server, "model.rollback")] == ["it loses"]
    async with server.resources.pool.connection() as conn:
        assert await audit.first_broken(conn) is None


async def test_a_model_nobody_knows_is_not_found(server):
    await call(server, "GET", f"/api/models/{UUID(int=404)}/evidence", 404)
    await call(server, "POST", f"/api/models/{UUID(int=404)}/promote", 404, {"reason": "r"})
    database(server, "UPDATE models SET status = 'retired' WHERE model_id = %s", CHALLENGER)
    problem = await call(server, "POST", f"/api/models/{CHALLENGER}/promote", 409, {"reason": "r", "kind": "demo"})
    assert problem["conditions"][0]["code"] == "NOT_RETIRED"


# --- explanations ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A small package of real boosters, and the model of the seeded rows made to be it."""
    import lightgbm as lgb

    rng = np.random.default_rng(3)
    inputs = rng.standard_normal((400, len(schema.KEYS)))
    inputs[rng.random(inputs.shape) < 0.05] = np.nan
    boosters = {}
    for i, name in enumerate(TARGETS):
        outcome = np.nan_to_num(inputs[:, i]) + 0.1 * rng.standard_normal(400)
        kind = {"objective": "binary"} if name.startswith("p_tp") else {"objective": "regression"}
        wanted = (outcome > 0).astype(float) if name.startswith("p_tp") else outcome
        options = kind | {"num_leaves": 7, "num_threads": 1, "verbosity": -1}
        boosters[name] = lgb.train(options, lgb.Dataset(inputs, wanted), 5).model_to_string()
    scaled = [name for name in TARGETS if name.split("_")[0] in ("er", "q05") or name.startswith("e_mae")]
    made_for = {"version": schema.SCHEMA_VERSION, "keys": list(schema.KEYS), "scaled": scaled, "scale_key": "atr_60"}
    found = ModelPackage(boosters, made_for, {"hash": "abc"}, {}, {}, {})
    return found, save_package(found, f"file://{tmp_path_factory.mktemp('models')}")


async def test_a_row_is_explained_once_from_its_stored_inputs(server, package):
    found, url = package
    features = {key: 0.1 * (i + 1) for i, key in enumerate(schema.KEYS)} | {"funding_z": None}
    database(
        server,
        "UPDATE models SET artifact_uri = %s, content_hash = %s WHERE model_id = %s",
        url,
        found.content_hash,
        MODEL,
    )
    database(
        server, "UPDATE features_1m SET features = %s WHERE symbol = 'BTCUSDT' AND ts = %s", Jsonb(features), NEWEST
    )
    where = "symbol=BTCUSDT&ts=2026-03-01T01:59:00Z"
    before = await call(server, "GET", f"/api/signals/explain?{where}", 200)
    assert (before["targets"], before["decision"]) == (None, "LONG")
    body = {"symbol": "BTCUSDT", "ts": "2026-03-01T01:59:00Z"}
    told = await call(server, "POST", "/api/signals/explain", 200, body)
    assert told["inputs"]["funding_z"] is None
    (close,) = database(server, "SELECT close FROM mark_candles_1m WHERE symbol = 'BTCUSDT' AND ts = %s", NEWEST)[0]
    row = np.array([np.nan if features[key] is None else features[key] for key in schema.KEYS])
    inputs = schema.model_inputs(row[None, :], np.array([close]))
    scale = inputs[0, schema.KEYS.index("atr_60")]
    for name, target in told["targets"].items():
        raw = explain.load(url, found.content_hash).boosters[name].predict(inputs, raw_score=True)[0]
        wanted = raw * scale if target["unit"] == "fraction" else raw
        parts = target["base"] + sum(part["contribution"] for part in target["top"]) + target["rest"]
        assert target["prediction"] == pytest.approx(wanted, rel=1e-9) == pytest.approx(parts, rel=1e-9)
    assert {target["unit"] for target in told["targets"].values()} == {"fraction", "minutes", "log_odds"}
    database(server, "DELETE FROM features_1m WHERE symbol = 'BTCUSDT'")  # what is kept needs no inputs any more
    assert await call(server, "POST", "/api/signals/explain", 200, body) == told
    assert (await call(server, "GET", f"/api/signals/explain?{where}", 200)) == told
    await call(server, "POST", "/api/signals/explain", 404, body | {"ts": "2026-03-01T03:00:00Z"})


async def test_traded_rows_are_explained_by_themselves_and_never_asked_for_twice(server):
    there = "SELECT count(*) FROM signals WHERE decision <> 'FLAT' AND explain IS NULL"
    database(server, "UPDATE signals SET decision = 'SHORT' WHERE symbol = 'SOLUSDT' AND ts = %s", minute(200))
    assert database(server, there)[0][0] >= 1
    with psycopg.connect(server.resources.settings.database_url, autocommit=True) as conn:
        while explain.explain_traded(conn, 50):
            pass
    assert database(server, there) == [(0,)]
    told = await call(server, "GET", f"/api/signals/explain?symbol=SOLUSDT&ts={from_datetime(minute(200))}", 200)
    assert told["targets"] is None
    assert "not stored" in told["unavailable"]
