"""The agent's models and decisions (§25.5)."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Body, Path, Query, Request
from starlette.responses import Response

from apps.api.auth import Caller
from apps.api.deps import Config, Db
from apps.api.dto_actions import CancelIn
from apps.api.dto_pages import RLDecisionDTO, RLModelDTO, RLStatsOut
from apps.api.params import Cursor, From, Limit, SymbolFilter, To, list_span, symbol_name
from apps.api.queries import rl
from apps.api.responses import UNCHANGED, HistoryRoute, link_next

router = APIRouter(prefix="/api/rl", tags=["training"], route_class=HistoryRoute, responses=UNCHANGED)
log = structlog.get_logger(__name__)
ModelId = Annotated[str, Path(pattern="^[A-Za-z0-9_.-]{1,32}$", examples=["ppo_btc_1"])]
ModelFilter = Annotated[str | None, Query(max_length=32, pattern="^[A-Za-z0-9_.-]+$", description="Only this model.")]
_PROMOTE = {"better": {"summary": "It earned more", "value": {"reason": "better out of sample"}}}


@router.get("/models", operation_id="listRLModels")
async def list_rl_models(
    conn: Db, request: Request, response: Response, cursor: Cursor = None, limit: Limit = 500
) -> list[RLModelDTO]:
    """Models of the agent; the one in production first. The next page is in the Link header."""
    items, following = await rl.models(conn, cursor=cursor, limit=limit)
    link_next(request, response, following)
    return items


@router.get("/models/{model_id}", operation_id="getRLModel")
async def get_rl_model(conn: Db, model_id: ModelId) -> RLModelDTO:
    """One model of the agent with its figures."""
    return await rl.model(conn, model_id)


@router.post("/models/{model_id}/promote", operation_id="promoteRLModel")
async def promote_rl_model(
    conn: Db,
    settings: Config,
    caller: Caller,
    model_id: ModelId,
    body: Annotated[CancelIn, Body(openapi_examples=_PROMOTE)],
) -> RLModelDTO:
    """Put a model of the agent in production, in the place of the one of its symbol. 409 names every criterion of
    §25.7 that its figures do not meet."""
    found = await rl.promote(conn, model_id, body.reason, caller.name)
    log.warning("rl_model_promoted", model_id=model_id, actor=caller.name)
    return found


@router.get("/decisions", operation_id="listRLDecisions")
async def list_rl_decisions(
    conn: Db,
    request: Request,
    response: Response,
    *,
    symbol: SymbolFilter = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> list[RLDecisionDTO]:
    """Decisions of the agent, newest first. The next page is in the Link header."""
    name = None if symbol is None else symbol_name(symbol)
    items, following = await rl.decisions(conn, symbol=name, cursor=cursor, limit=limit)
    link_next(request, response, following)
    return items


@router.get("/decisions/stats", operation_id="getRLDecisionStats")
async def get_rl_decision_stats(
    conn: Db, from_: From = None, to: To = None, model_id: ModelFilter = None, symbol: SymbolFilter = None
) -> RLStatsOut:
    """Decisions of a span by action."""
    name = None if symbol is None else symbol_name(symbol)
    return await rl.stats(conn, list_span(from_, to), model_id=model_id, symbol=name)
