"""The toggle: refused with every reason, or written, audited and published."""

import asyncio
import contextlib
import itertools

import psycopg
import pytest

from apps.api import audit
from apps.api.auth import Role
from apps.api.live_gate import mode_conditions
from apps.api.queries import gate
from apps.api.tests.running import running, settings_for, signed_in
from apps.api.tests.seed import heartbeat, seed
from packages.common.time import wall_ms

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
    assert codes == ["MODE_NOT_PERMITTED", "NOT_CONFIRMED", "WORKER_SILENT"]
    async with desk.client.get("/api/trading/state") as answer:
        assert (await answer.json())["version"] == 0


def worker(asked_at_ms, *, latch="RUNNING", **more):
    """A heartbeat of a worker that trades an account on which one thing may be wrong."""
    row = {"code": "HEDGE_MODE", "met": True, "value": "one-way", "expected": "one-way mode"} | more
    return {
        "live": {
            "ready": True, "stream_up": True, "latch": latch, "latch_code": "", "latch_since": None, "trips": [],
            "blocks": [{"code": "DATA_STALE", "symbol": "SOLUSDT", "since": "2026-03-01T01:59:00.000Z"}],
            "positions": 1, "unprotected": [], "locked": {"BTCUSDT": "protected"}, "paused": [], "entries_unknown": 0,
            "stop_path_proven": True, "proofs": {"A": "2026-03-01T01:59:00.000Z"},
            "naked_ms": {"p50": 2.0, "p99": 9.0, "max": 11.0}, "equity": "10000",
            "gate": {"asked_at_ms": asked_at_ms, "conditions": [row]},
        }
    }  # fmt: skip


@contextlib.asynccontextmanager
async def live_desk(settings, postgres_url):
    seed(postgres_url)
    async with running(settings.model_copy(update={"mode": "live"})) as server:
        yield server


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(gate, "_WAIT_MS", 300)


async def test_live_on_an_emulated_exchange_needs_the_account_in_order_and_the_typed_word(
    settings, postgres_url, quick
):
    async with live_desk(settings, postgres_url) as server:
        heartbeat(postgres_url, worker(wall_ms()))
        found = await toggle(server, 409, mode="live", reason="now")
        assert [condition["code"] for condition in found["conditions"]] == ["NOT_CONFIRMED"]
        heartbeat(postgres_url, worker(wall_ms(), met=False, value="hedge"))
        found = await toggle(server, 409, mode="live", reason="now", confirm="LIVE")
        assert found["conditions"] == [
            {"code": "HEDGE_MODE", "message": "HEDGE_MODE: got hedge, expected one-way mode"}
        ]
        heartbeat(postgres_url, worker(wall_ms()))
        assert (await toggle(server, mode="live", reason="now", confirm="LIVE"))["toggle"] == "live"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({}, "LIVE_NOT_RUNNING"),
        (worker(None), "ACCOUNT_NOT_CHECKED"),
        (worker(1_000_000), "ACCOUNT_NOT_CHECKED"),
        (worker(10**14), "ACCOUNT_NOT_CHECKED"),
        ({"live": {"gate": {"asked_at_ms": 2, "conditions": "none"}}}, "GATE_UNREADABLE"),
    ],
)
async def test_what_the_worker_does_not_say_is_not_met(settings, postgres_url, quick, said, code):
    async with live_desk(settings, postgres_url) as server:
        heartbeat(postgres_url, said)
        found = await toggle(server, 409, mode="live", reason="now", confirm="LIVE")
        assert code in [condition["code"] for condition in found["conditions"]]


async def test_the_worker_is_asked_anew_before_live_is_decided(settings, postgres_url):
    """The last answer was in order; the one that the request brings about is not."""
    async with (
        live_desk(settings, postgres_url) as server,
        await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as conn,
    ):
        heartbeat(postgres_url, worker(wall_ms() - 20_000))
        await conn.execute("LISTEN gate_wanted")
        asked = asyncio.create_task(toggle(server, 409, mode="live", reason="now", confirm="LIVE"))
        async for _ in conn.notifies(timeout=5, stop_after=1):
            heartbeat(postgres_url, worker(wall_ms(), met=False, value="hedge"))
        found = await asked
        assert [condition["code"] for condition in found["conditions"]] == ["HEDGE_MODE"]


async def test_with_money_at_stake_model_evidence_and_people_are_asked_for(settings, postgres_url, quick):
    seed(postgres_url)
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
        conn.execute("UPDATE store_identity SET exchange = 'binance:public'")
        # evidence that failed since, ran out, or is gone
        conn.execute("UPDATE model_evidence SET passed = FALSE WHERE kind = 'pbo'")
        conn.execute("UPDATE model_evidence SET valid_until = now() WHERE kind = 'shadow'")
        conn.execute("DELETE FROM model_evidence WHERE kind = 'parity'")
    heartbeat(postgres_url, worker(wall_ms()))
    real = settings.model_copy(update={"mode": "live", "exchange": "binance"})
    async with running(real) as server:
        found = await toggle(server, 403, mode="live", reason="now", confirm="LIVE")
        assert found["code"] == "STEP_UP_NEEDED"
        async with server.client.get("/api/trading/gate") as answer:
            rows = {row["code"]: row["met"] for row in (await answer.json())["conditions"]}
        assert (rows["NOT_ADMIN"], rows["NO_SECOND_FACTOR"]) == (True, False)
        viewer = await signed_in(server.resources, Role.VIEWER)
        async with server.client.get("/api/trading/gate", headers=viewer) as answer:
            rows = {row["code"]: row["met"] for row in (await answer.json())["conditions"]}
        assert (rows["NOT_ADMIN"], rows["NO_SECOND_FACTOR"]) == (False, False)
        with psycopg.connect(postgres_url, autocommit=True) as conn:
            conn.execute("UPDATE sessions SET stepped_up_at = now()")
        server.resources.sessions.forget()
        found = await toggle(server, 409, mode="live", reason="now", confirm="LIVE")
        codes = [condition["code"] for condition in found["conditions"]]
        assert codes == ["NO_EVIDENCE_PBO", "NO_EVIDENCE_SHADOW", "NO_EVIDENCE_PARITY", "SHADOW_TOO_SHORT"]
        async with server.client.get("/api/trading/gate") as answer:
            listed = await answer.json()
        assert (listed["money"], listed["open"]) == (True, False)
        rows = {row["code"]: row for row in listed["conditions"]}
        assert rows["NO_EVIDENCE_OOS"]["met"]
        assert rows["HEDGE_MODE"] == {
            "code": "HEDGE_MODE", "met": True, "value": "one-way", "expected": "one-way mode"
        }  # fmt: skip
        assert rows["SHADOW_TOO_SHORT"]["value"] == "0.0 days"


# --- the kill-switch --------------------------------------------------------------------------------------------------


async def post(server, path, status=202, **body):
    async with server.client.post(path, json=body) as answer:
        found = await answer.json(content_type=None)
        assert answer.status == status, found
        return found


async def switch(server, action, status=202, **body):
    return await post(server, "/api/trading/kill-switch", status, action=action, **body)


async def test_halt_and_resume_are_versioned_and_audited(desk):
    assert await switch(desk, "halt", reason="news") == {
        "version": 1, "kill_switch": "HALTED", "changed": True, "acknowledged_version": None
    }  # fmt: skip
    assert not (await switch(desk, "halt"))["changed"]
    assert (await switch(desk, "resume", 422))["errors"][0]["field"] == "reason"
    assert (await switch(desk, "resume", 409, reason="over", expected_version=0))["code"] == "CONFLICT"
    assert (await switch(desk, "resume", reason="over", expected_version=1))["kill_switch"] == "RUNNING"
    async with desk.resources.pool.connection() as conn:
        assert await audit.first_broken(conn) is None
        rows = await (await conn.execute("SELECT action, after, reason FROM audit_log ORDER BY seq")).fetchall()
    assert [(row["action"], row["after"]["kill_switch"], row["reason"]) for row in rows] == [
        ("trading.kill_switch", "HALTED", "news"),
        ("trading.kill_switch", "RUNNING", "over"),
    ]


async def test_flattening_needs_an_account_and_is_not_softened(desk, settings, postgres_url):
    found = await switch(desk, "flatten", 409)
    assert [condition["code"] for condition in found["conditions"]] == ["LIVE_NOT_RUNNING"]
    async with running(settings.model_copy(update={"mode": "live"})) as server:
        assert (await switch(server, "flatten"))["kill_switch"] == "FLATTENING"
        milder = await switch(server, "halt")
        assert (milder["kill_switch"], milder["changed"]) == ("FLATTENING", False)


async def test_a_socket_begins_with_every_account_that_is_kept(desk, postgres_url):
    async def told():
        async with desk.client.ws_connect("/ws") as socket:
            await socket.send_json({"op": "subscribe", "channels": ["position_updates", "account_updates"]})
            frames = [await socket.receive_json() for _ in range(2)]
        return {frame["channel"]: [row["mode"] for row in frame["data"]] for frame in frames}

    with psycopg.connect(postgres_url, autocommit=True) as conn:
        for table in ("account_snapshots", "positions"):
            columns = ", ".join(
                row[0] for row in conn.execute(f"SELECT * FROM {table} LIMIT 0").description or () if row[0] != "mode"
            )
            conn.execute(f"INSERT INTO {table} (mode, {columns}) SELECT 'live', {columns} FROM {table}")
    alone = await told()
    assert set(alone["account_updates"]) == set(alone["position_updates"]) == {"shadow"}
    heartbeat(postgres_url, worker(wall_ms()))
    await asyncio.sleep(0.3)  # a snapshot is kept for a quarter of a second
    both = await told()
    assert both["account_updates"] == ["shadow", "live"]
    assert both["position_updates"] == alone["position_updates"] + ["live"] * len(alone["position_updates"])


async def test_risk_state_tells_what_the_worker_says_of_live_trading(desk, postgres_url):
    async with desk.client.get("/api/risk/state") as answer:
        assert (await answer.json())["live"] is None
    heartbeat(postgres_url, worker(wall_ms(), latch="HALTED"))
    async with desk.client.get("/api/risk/state") as answer:
        live = (await answer.json())["live"]
    assert (live["latch"], live["naked_ms"]["p99"], live["stop_path_proven"]) == ("HALTED", 9.0, True)
    assert live["blocks"][0]["symbol"] == "SOLUSDT"


# --- one symbol -------------------------------------------------------------------------------------------------------


async def test_a_symbol_is_closed_and_paused_by_rows_that_the_worker_answers(desk, postgres_url):
    heartbeat(postgres_url, worker(wall_ms()))
    asked = await post(desk, "/api/positions/BTCUSDT/close", reason="enough")
    assert (asked["kind"], asked["state"], asked["outcome"]) == ("close", "waiting", None)
    again = await post(desk, "/api/positions/BTCUSDT/close", reason="enough!")
    assert again["command_id"] == asked["command_id"]
    await post(desk, "/api/symbols/SOLUSDT/pause", reason="news")
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute("UPDATE desk_commands SET answered_at = now(), outcome = 'done' WHERE kind = 'close'")
    async with desk.client.get("/api/trading/commands") as answer:
        rows = await answer.json()
    assert [(row["kind"], row["symbol"], row["state"]) for row in rows] == [
        ("pause", "SOLUSDT", "waiting"),
        ("close", "BTCUSDT", "done"),
    ]
    async with desk.resources.pool.connection() as conn:
        assert await audit.first_broken(conn) is None
    await post(desk, "/api/positions/NOPEUSDT/close", 404, reason="what")
    await post(desk, "/api/symbols/..%2f/pause", 404, reason="what")
    await post(desk, "/api/symbols/BTCUSDT/unpause", 422)


async def test_without_an_account_a_symbol_is_neither_closed_nor_paused(desk, postgres_url):
    heartbeat(postgres_url, {})
    for path in ("/api/positions/BTCUSDT/close", "/api/symbols/BTCUSDT/pause"):
        found = await post(desk, path, 409, reason="r")
        assert "MODE=live" in found["detail"]
    async with desk.client.get("/api/trading/commands") as answer:
        assert await answer.json() == []


@pytest.mark.parametrize("permitted", ["off", "shadow", "live"])
def test_off_is_always_allowed(permitted):
    assert mode_conditions("off", permitted, False) == []


async def test_what_the_settings_forbid_is_refused(postgres_url, redis_url):
    forbidding = settings_for(postgres_url, redis_url, mode="off", trading_enabled=False)
    async with running(forbidding) as server:
        found = await toggle(server, 409, mode="shadow", reason="r")
        assert [c["code"] for c in found["conditions"]] == ["MODE_NOT_PERMITTED", "TRADING_DISABLED"]


async def test_commands_are_walked_page_by_page(desk, postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        for i in range(5):
            conn.execute(
                "INSERT INTO desk_commands (author, kind, symbol, reason) VALUES ('kim', 'pause', 'BTCUSDT', %s)",
                (str(i),),
            )
    seen, path = [], "/api/trading/commands?limit=2"
    while path:
        async with desk.client.get(path) as answer:
            seen += [row["reason"] for row in await answer.json()]
            path = answer.headers["Link"].split(">")[0].lstrip("<") if "Link" in answer.headers else None
    assert seen == ["4", "3", "2", "1", "0"]
