"""Models as actions: evidence, promotion, the way back."""

from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Body

from apps.api.auth import Caller
from apps.api.deps import Config, Db
from apps.api.dto_actions import ModelActionDTO, ModelEvidenceDTO, PromoteIn, RollbackIn
from apps.api.queries import models

router = APIRouter(prefix="/api/models", tags=["training"])
log = structlog.get_logger(__name__)

_PROMOTE = {
    "evidence": {"summary": "With whole evidence", "value": {"reason": "better out of sample and in shadow"}},
    "override": {
        "summary": "Without whole evidence; leaves a mark",
        "value": {
            "reason": "the old one is broken",
            "override": True,
            "confirm": "00000000-0000-0000-0000-000000000001",
        },
    },
}
_ROLLBACK = {"back": {"summary": "Back to the predecessor", "value": {"reason": "it loses in shadow"}}}


@router.get("/{model_version}/evidence", operation_id="getEvidence")
async def get_evidence(conn: Db, model_version: UUID) -> ModelEvidenceDTO:
    """All that production needs of a model, met or not (D31)."""
    return await models.evidence(conn, model_version)


@router.post("/{model_version}/promote", operation_id="promoteModel")
async def promote_model(
    conn: Db,
    settings: Config,
    caller: Caller,
    model_version: UUID,
    body: Annotated[PromoteIn, Body(openapi_examples=_PROMOTE)],
) -> ModelActionDTO:
    """Put a model in use. 409 lists every unmet condition; an override accepts missing evidence, and leaves a mark on
    the model that stays. The database refuses the same."""
    done = await models.promote(
        conn,
        settings,
        model_version,
        kind=body.kind,
        reason=body.reason,
        actor=caller.name,
        override=body.override,
        confirm=body.confirm,
    )
    log.warning(
        "model_promoted", kind=body.kind, model_id=str(model_version), override=body.override, actor=caller.name
    )
    return done


@router.post("/rollback", operation_id="rollbackModel")
async def rollback_model(
    conn: Db, settings: Config, caller: Caller, body: Annotated[RollbackIn, Body(openapi_examples=_ROLLBACK)]
) -> ModelActionDTO:
    """Back to the predecessor, which must still be valid; the answer is the model in use now."""
    done = await models.rollback(
        conn,
        settings,
        kind=body.kind,
        reason=body.reason,
        actor=caller.name,
        override=body.override,
        confirm=body.confirm,
    )
    log.warning("model_rolled_back", kind=body.kind, model_id=done.model.model_id, actor=caller.name)
    return done
