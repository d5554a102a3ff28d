"""Explanations of signals."""

from typing import Annotated

from fastapi import APIRouter, Body, Query

from apps.api.deps import Db, Res
from apps.api.dto_actions import ExplainDTO, ExplainIn
from apps.api.params import Mode, instant, symbol_name
from apps.api.queries import explain

router = APIRouter(prefix="/api/signals", tags=["signals"])
_EXAMPLES = {"row": {"summary": "One row", "value": {"symbol": "BTCUSDT", "ts": "2026-03-01T01:59:00Z"}}}


@router.get("/explain", operation_id="getExplain")
async def get_explain(
    conn: Db,
    symbol: Annotated[str, Query(max_length=60, examples=["BTCUSDT"])],
    ts: Annotated[str, Query(max_length=40, examples=["2026-03-01T01:59:00Z"])],
    mode: Mode = "shadow",
) -> ExplainDTO:
    """What is kept of a row; its `targets` are null while nobody has asked. Traded rows are explained by themselves."""
    return await explain.kept(conn, symbol_name(symbol), instant("ts", ts), mode)


@router.post("/explain", operation_id="explainSignal")
async def explain_signal(res: Res, body: Annotated[ExplainIn, Body(openapi_examples=_EXAMPLES)]) -> ExplainDTO:
    """What each input added to each prediction (`pred_contrib`), from the stored inputs of the row; kept afterwards."""
    return await explain.explain(res.pool, res.settings, symbol_name(body.symbol), instant("ts", body.ts), body.mode)
