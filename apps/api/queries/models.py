"""Models as actions: what speaks for one, putting it in use, and the way back (D31)."""

from typing import Any
from uuid import UUID

import psycopg

from apps.api import audit
from apps.api.db import Connection
from apps.api.dto_actions import EvidenceConditionDTO, ModelActionDTO, ModelEvidenceDTO
from apps.api.errors import Condition, InvalidInputError, RefusedError
from apps.api.queries import training
from apps.api.queries.changes import changed
from apps.api.queries.rows import iso_at
from packages.common.config import Settings
from services.registry import registry
from services.registry.registry import EVIDENCE, Kind, Pointer

_NEWEST = """
SELECT DISTINCT ON (kind) kind, passed, valid_until, valid_until IS NOT NULL AND valid_until > now() AS fresh
FROM model_evidence WHERE model_id = %s ORDER BY kind, created_at DESC, id DESC
"""
_EXPECTED = {
    "oos": "passed purged out-of-sample profit factor and drawdown",
    "pbo": "passed probability of backtest overfitting",
    "shadow": "passed shadow period on this exchange",
    "parity": "passed parity certificate: desk and research chain are equal",
    "drift": "passed drift check of the inputs",
}


async def evidence(conn: Connection, model_id: UUID) -> ModelEvidenceDTO:
    """Every condition of production, met or not; ``NotFoundError`` for a model nobody registered."""
    model = await training.model(conn, model_id)
    rows = await (await conn.execute(_NEWEST, (model_id,))).fetchall()
    found = {row["kind"]: row for row in rows}
    return ModelEvidenceDTO(
        model_id=model.model_id,
        conditions=[
            _not_retired(model.status),
            *(_condition(kind, found.get(kind)) for kind in EVIDENCE),
        ],
        report_url=model.report_url,
    )


async def promote(
    conn: Connection,
    settings: Settings,
    model_id: UUID,
    *,
    kind: Kind,
    reason: str,
    actor: str,
    override: bool,
    confirm: str | None,
) -> ModelActionDTO:
    """Put a model in use. Without whole evidence ``RefusedError`` names all that is unmet, unless it is overridden."""
    if override and (kind != "production" or confirm != str(model_id)):
        expected = (
            "the id of the model, typed" if kind == "production" else "no override: only production needs evidence"
        )
        raise InvalidInputError("confirm" if kind == "production" else "override", confirm, expected)
    conditions = (await evidence(conn, model_id)).conditions
    needed = conditions if kind == "production" else conditions[:1]
    _refuse(f"promotion to {kind}", [row for row in needed if not row.met], override=override)

    def work(blocking: psycopg.Connection[Any]) -> tuple[Pointer, audit.Entry | None]:
        before = registry.current(blocking, kind)
        after = registry.set_pointer(blocking, kind, str(model_id), author=actor, reason=reason, override=override)
        return after, _entry("model.promote", actor, kind, before, after, reason, override=override)

    return await _done(conn, await changed(settings, work))


async def rollback(
    conn: Connection,
    settings: Settings,
    *,
    kind: Kind,
    reason: str,
    actor: str,
    override: bool,
    confirm: str | None,
) -> ModelActionDTO:
    """Back to the predecessor. ``RefusedError`` when there is none, or when it is not valid any more."""
    row = await (await conn.execute("SELECT previous_model_id FROM model_pointers WHERE kind = %s", (kind,))).fetchone()
    if row is None or row["previous_model_id"] is None:
        nothing = Condition(code="NO_PREDECESSOR", message=f"no model was in use for {kind} before this one")
        raise RefusedError(f"rollback is refused: {nothing.message}", [nothing])
    target: UUID = row["previous_model_id"]
    if override and confirm != str(target):
        raise InvalidInputError("confirm", confirm, f"the id of the predecessor, typed: {target}")
    conditions = (await evidence(conn, target)).conditions
    needed = conditions if kind == "production" else conditions[:1]
    _refuse(f"rollback to {target}", [row for row in needed if not row.met], override=override)

    def work(blocking: psycopg.Connection[Any]) -> tuple[Pointer, audit.Entry | None]:
        before = registry.current(blocking, kind)
        if before is None or before.previous_model_id != str(target):
            moved = Condition(code="POINTER_MOVED", message="somebody else moved the pointer meanwhile")
            raise RefusedError(f"rollback is refused: {moved.message}", [moved])
        after = registry.rollback(blocking, kind, author=actor, reason=reason, override=override)
        return after, _entry("model.rollback", actor, kind, before, after, reason, override=override)

    return await _done(conn, await changed(settings, work))


async def _done(conn: Connection, pointer: Pointer) -> ModelActionDTO:
    return ModelActionDTO(
        kind=pointer.kind,
        model=await training.model(conn, UUID(pointer.model_id)),
        previous_model_id=pointer.previous_model_id,
    )


def _entry(
    action: str, actor: str, kind: str, before: Pointer | None, after: Pointer, reason: str, *, override: bool
) -> audit.Entry:
    old = None if before is None else {"kind": kind, "model_id": before.model_id}
    return audit.Entry(
        actor, action, after.model_id, old, {"kind": kind, "model_id": after.model_id, "override": override}, reason
    )


def _refuse(what: str, unmet: list[EvidenceConditionDTO], *, override: bool) -> None:
    """Whoever overrides accepts missing evidence, and nothing else."""
    blocking = [row for row in unmet if not (override and row.code.startswith("EVIDENCE_"))]
    if blocking:
        conditions = [Condition(code=row.code, message=row.message) for row in blocking]
        raise RefusedError(f"{what} is refused: {'; '.join(row.message for row in blocking)}", conditions)


def _not_retired(status: str) -> EvidenceConditionDTO:
    met = status != "retired"
    message = "the model can be put in use" if met else "the model is retired"
    return EvidenceConditionDTO(code="NOT_RETIRED", met=met, value=status, expected="not retired", message=message)


def _condition(kind: str, row: dict[str, Any] | None) -> EvidenceConditionDTO:
    met = row is not None and row["passed"] and row["fresh"]
    if row is None:
        value = "none"
    elif not row["passed"]:
        value = "failed"
    else:
        until = iso_at(row["valid_until"])
        value = "passed, without an end" if until is None else f"passed, valid until {until}"
    expected = f"{_EXPECTED[kind]}, not out of date"
    return EvidenceConditionDTO(
        code=f"EVIDENCE_{kind.upper()}",
        met=met,
        value=value,
        expected=expected,
        message=f"{kind}: got {value}, expected {expected}",
    )
