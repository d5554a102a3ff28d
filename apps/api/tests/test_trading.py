# ruff: noqa: E501 - tables of cases stay tables
"""The toggle: refused with every reason, or written, audited and published."""

import asyncio
import itertools

import psycopg
import pytest

from apps.api import audit
from apps.api.live_gate import LiveFacts, live_conditions, mode_conditions
from apps.api.tests.running import running, settings_for
from apps.api.tests.seed import heartbeat

pytestmark = pytest.mark.integration


async def toggle(server, status=202, **body):
    async with server.client.post("/api/trading/toggle", json=body) as answer:
        found = await answer.json(content_type=None)
        assert answer.status == status, found
        return found


async def test_shadow_is_accepted_and_pending_until_the_worker_has_it(desk, postgres_url):
    accepted = await toggle(desk, mode="shadow", reason="data is whole")
    assert accepted == {"version": 1, "toggle": "shadow", "changed": True, "acknowledged_version": None}
    async with desk.client.get("/api/trading/state") as answer:
        state = await answer.json()
    assert (state["toggle"], state["version"], state["pending"]) == ("shadow", 1, True)
    heartbeat(postgres_url, {"trading_version": 1})
    async with desk.client.get("/api/trading/state") as answer:
        state = await answer.json()
    assert (state["acknowledged_version"], state["pending"]) == (1, False)


async def test_asking_again_acts_once(desk):
    await toggle(desk, mode="shadow", reason="one")
    again = await toggle(desk, mode="shadow", reason="two")
    assert (again["version"], again["changed"]) == (1, False)
    async with desk.resources.pool.connection() as conn:
        row = await (await conn.execute("SELECT count(*) AS n FROM audit_log")).fetchone()
    assert row["n"] == 1


async def test_a_change_in_between_is_a_conflict(desk):
    await toggle(desk, mode="shadow", reason="one", expected_version=0)
    found = await toggle(desk, 409, mode="off", reason="two", expected_version=0)
    assert found["code"] == "CONFLICT"


async def test_simultaneous_toggles_leave_one_whole_chain(desk):
    asked = [toggle(desk, mode=mode, reason=str(i)) for i, mode in enumerate(["shadow", "off"] * 8)]
    await asyncio.gather(*asked)
    async with desk.resources.pool.connection() as conn:
        assert await audit.first_broken(conn) is None
        rows = await (await conn.execute("SELECT before, after FROM audit_log ORDER BY seq")).fetchall()
        state = await (await conn.execute("SELECT version FROM trading_state")).fetchone()
    assert [row["after"]["version"] for row in rows] == list(range(1, state["version"] + 1))
    for earlier, later in itertools.pairwise(rows):
        assert later["before"] == earlier["after"]


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE audit_log SET reason = 'other' WHERE seq = 2",
        'UPDATE audit_log SET after = after || \'{"toggle": "live"}\' WHERE seq = 2',
        "DELETE FROM audit_log WHERE seq = 1",
        "UPDATE audit_log SET ts = ts + interval '1 us' WHERE seq = 2",
    ],
)
async def test_a_row_changed_or_cut_out_breaks_the_chain(desk, attack):
    for mode in ("shadow", "off", "shadow"):
        await toggle(desk, mode=mode, reason="r")
    async with desk.resources.pool.connection() as conn:
        assert await audit.first_broken(conn) is None
        await conn.execute(attack)
        assert await audit.first_broken(conn) == 2


async def test_the_chain_survives_what_the_database_does_to_numbers(api):
    async with api.resources.pool.connection() as conn, conn.transaction():
        after = {"b": 1e22, "a": 1.0, "한": ["é", None, 0.1]}
        await audit.append(conn, actor="a", action="x", target=None, before=None, after=after, reason=None)
    async with api.resources.pool.connection() as conn:
        assert await audit.first_broken(conn) is None


async def test_live_is_refused_with_all_that_is_missing(desk):
    found = await toggle(desk, 409, mode="live", reason="now")
    codes = [condition["code"] for condition in found["conditions"]]
    assert found["code"] == "REFUSED"
    assert codes == [
        "MODE_NOT_PERMITTED", "NO_EXCHANGE_KEYS", "NO_SECOND_FACTOR", "NOT_ADMIN", "WORKER_SILENT", "NO_PRODUCTION_MODEL",
        "NO_EVIDENCE_OOS", "NO_EVIDENCE_PBO", "NO_EVIDENCE_SHADOW", "NO_EVIDENCE_PARITY", "NO_EVIDENCE_DRIFT",
        "NOT_CONFIRMED",
    ]  # fmt: skip
    async with desk.client.get("/api/trading/state") as answer:
        assert (await answer.json())["version"] == 0


async def test_evidence_that_is_held_is_no_longer_asked_for(settings, desk, postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO model_evidence (model_id, kind, passed, figures, valid_until) "
            "SELECT model_id, k, TRUE, '{}', now() + interval '1 day' FROM model_pointers, "
            "unnest(ARRAY['oos', 'pbo', 'shadow', 'parity', 'drift']) k WHERE kind = 'demo'"
        )
        conn.execute(
            "INSERT INTO model_pointers (kind, model_id, set_by, reason) "
            "SELECT 'production', model_id, 'test', 'r' FROM model_pointers WHERE kind = 'demo'"
        )
        # evidence that failed since, ran out, or is gone
        conn.execute("UPDATE model_evidence SET passed = FALSE WHERE kind = 'pbo'")
        conn.execute("UPDATE model_evidence SET valid_until = now() WHERE kind = 'shadow'")
        conn.execute("DELETE FROM model_evidence WHERE kind = 'parity'")
        conn.execute("UPDATE trading_state SET kill_switch = 'HALTED'")
    heartbeat(postgres_url, {})
    found = await toggle(desk, 409, mode="live", reason="now", confirm="LIVE")
    codes = {condition["code"] for condition in found["conditions"]}
    assert codes == {
        "MODE_NOT_PERMITTED", "NO_EXCHANGE_KEYS", "NO_SECOND_FACTOR", "NOT_ADMIN", "KILL_SWITCH", "NO_EVIDENCE_PBO",
        "NO_EVIDENCE_SHADOW", "NO_EVIDENCE_PARITY",
    }  # fmt: skip


def test_the_gate_opens_only_when_nothing_is_missing():
    whole = LiveFacts(
        permitted="live", trading_enabled=True, kill_switch="RUNNING", production_model=True, missing_evidence=(),
        worker_alive=True, second_factor_admin=True, signed_in_role="admin", exchange_keys=True, confirmed=True,
    )  # fmt: skip
    assert live_conditions(whole) == []


@pytest.mark.parametrize("permitted", ["off", "shadow", "live"])
def test_off_is_always_allowed(permitted):
    assert mode_conditions("off", permitted, False) == []


async def test_what_the_settings_forbid_is_refused(postgres_url, redis_url):
    forbidding = settings_for(postgres_url, redis_url, mode="off", trading_enabled=False)
    async with running(forbidding) as server:
        found = await toggle(server, 409, mode="shadow", reason="r")
        assert [c["code"] for c in found["conditions"]] == ["MODE_NOT_PERMITTED", "TRADING_DISABLED"]
