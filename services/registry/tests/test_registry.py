"""Pointers and evidence (D31, D40), on a real database with the guard of migration 0002."""

import dataclasses

import psycopg
import pytest

from packages.common.db import connect
from packages.common.errors import InvalidInputError
from services.registry import registry
from services.registry.tests.test_package import PACKAGE

pytestmark = pytest.mark.integration
WHO = {"author": "ana", "reason": "first try"}


@pytest.fixture
def conn(postgres_url):
    with connect(postgres_url, autocommit=True) as conn:
        yield conn


def add(conn, number=0):
    package = dataclasses.replace(PACKAGE, metrics={"n": number})
    return registry.register(conn, package, f"file:///models/{number}")


def evidence(conn, model_id, kinds=registry.EVIDENCE, *, passed=True, hours=24):
    for kind in kinds:
        conn.execute(
            "INSERT INTO model_evidence (model_id, kind, valid_until, passed, figures) "
            "VALUES (%s, %s, now() + make_interval(hours => %s), %s, '{}')",
            (model_id, kind, hours, passed),
        )


def model(conn, model_id):
    return conn.execute("SELECT status, is_production FROM models WHERE model_id = %s", (model_id,)).fetchone()


def test_registering_twice_is_one_candidate(conn):
    assert add(conn) == add(conn)
    assert conn.execute("SELECT count(*) FROM models").fetchone() == (1,)
    assert model(conn, add(conn)) == ("candidate", False)


def test_a_demo_model_trades_in_shadow_only(conn):
    model_id = add(conn)
    pointer = registry.set_pointer(conn, "demo", model_id, **WHO)
    assert (pointer.model_id, pointer.set_by, pointer.reason) == (model_id, "ana", "first try")
    assert not pointer.live_allowed
    assert registry.for_mode(conn, "shadow") == pointer
    assert registry.for_mode(conn, "live") is None
    assert model(conn, model_id) == ("demo", False)


def test_production_needs_the_whole_bundle(conn):
    model_id = add(conn)
    for kind in registry.EVIDENCE:
        with pytest.raises(InvalidInputError, match=kind):
            registry.set_pointer(conn, "production", model_id, **WHO)
        evidence(conn, model_id, [kind])
    pointer = registry.set_pointer(conn, "production", model_id, **WHO)
    assert pointer.live_allowed
    assert model(conn, model_id) == ("production", True)
    assert registry.for_mode(conn, "live") == registry.for_mode(conn, "shadow") == pointer


@pytest.mark.parametrize("spoiled", [{"passed": False}, {"hours": -1}])
def test_failed_or_stale_evidence_counts_as_none_even_after_a_good_one(conn, spoiled):
    model_id = add(conn)
    evidence(conn, model_id)
    evidence(conn, model_id, ["drift"], **spoiled)
    assert registry.missing_evidence(conn, model_id) == ["drift"]
    with pytest.raises(InvalidInputError, match="drift"):
        registry.set_pointer(conn, "production", model_id, **WHO)


def test_the_database_refuses_by_itself(conn):
    model_id = add(conn)
    with pytest.raises(psycopg.errors.CheckViolation, match="cannot be production"):
        conn.execute(
            "INSERT INTO model_pointers (kind, model_id, set_by, reason) VALUES ('production', %s, 'x', 'y')",
            (model_id,),
        )
    with pytest.raises(psycopg.errors.CheckViolation, match="move the pointer"):
        conn.execute("UPDATE models SET is_production = TRUE WHERE model_id = %s", (model_id,))
    registry.set_pointer(conn, "demo", model_id, **WHO)
    with pytest.raises(psycopg.errors.CheckViolation, match="cannot be production"):
        conn.execute("UPDATE model_pointers SET kind = 'production'")
    assert model(conn, model_id) == ("demo", False)


def test_rollback_is_one_action_to_a_predecessor_that_is_still_valid(conn):
    one, two = add(conn, 1), add(conn, 2)
    for model_id in (one, two):
        evidence(conn, model_id)
        registry.set_pointer(conn, "production", model_id, **WHO)
    assert model(conn, one) == ("candidate", False)
    back = registry.rollback(conn, "production", author="bo", reason="losses")
    assert (back.model_id, back.previous_model_id, back.set_by) == (one, two, "bo")
    assert model(conn, one) == ("production", True)
    assert model(conn, two) == ("candidate", False)
    evidence(conn, two, ["parity"], passed=False)
    with pytest.raises(InvalidInputError, match="parity"):
        registry.rollback(conn, "production", author="bo", reason="again")
    assert registry.current(conn, "production").model_id == one


def test_setting_the_same_model_again_keeps_its_predecessor(conn):
    one, two = add(conn, 1), add(conn, 2)
    for model_id in (one, two, two):
        registry.set_pointer(conn, "demo", model_id, **WHO)
    assert registry.current(conn, "demo").previous_model_id == one


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [("live", {}, "kind"), ("demo", {"reason": " "}, "reason"), ("demo", {"author": ""}, "author")],
)
def test_a_pointer_without_name_or_reason_is_refused(conn, kind, change, field):
    with pytest.raises(InvalidInputError) as caught:
        registry.set_pointer(conn, kind, add(conn), **(WHO | change))
    assert caught.value.field == field


def test_an_unknown_a_retired_and_a_first_model_cannot_be_reached(conn):
    with pytest.raises(InvalidInputError, match="registered"):
        registry.set_pointer(conn, "demo", PACKAGE.model_id, **WHO)
    model_id = add(conn)
    conn.execute("UPDATE models SET status = 'retired'")
    with pytest.raises(InvalidInputError, match="not retired"):
        registry.set_pointer(conn, "demo", model_id, **WHO)
    with pytest.raises(InvalidInputError, match="predecessor"):
        registry.rollback(conn, "demo", **WHO)
