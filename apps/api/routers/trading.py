"""The trading toggle: a versioned row that the worker reads and acknowledges. There is no message to lose."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Body

from apps.api.deps import Config, Db
from apps.api.dto import AcceptedDTO, ToggleIn, TradingStateDTO
from apps.api.errors import RefusedError
from apps.api.live_gate import live_conditions, mode_conditions
from apps.api.queries import status, trading
from packages.common.types import Mode

router = APIRouter(prefix="/api/trading", tags=["trading"])
log = structlog.get_logger(__name__)
ACTOR = "desk"  # nobody signs in yet: whoever reaches the loopback address

_EXAMPLES = {
    "shadow": {"summary": "Trade the shadow account", "value": {"mode": "shadow", "reason": "data is whole"}},
    "off": {"summary": "No new entries", "value": {"mode": "off", "reason": "news ahead"}},
}


@router.get("/state", operation_id="getTradingState")
async def get_trading_state(conn: Db, settings: Config) -> TradingStateDTO:
    """What was asked for, and whether the worker has taken it over."""
    return await trading.state(conn, settings)


@router.post("/toggle", status_code=202, operation_id="toggleTrading")
async def toggle_trading(
    conn: Db, settings: Config, body: Annotated[ToggleIn, Body(openapi_examples=_EXAMPLES)]
) -> AcceptedDTO:
    """Ask for off, shadow or live. Accepted once the worker acknowledges the version; asking again acts once.

    What is refused lists every unmet condition, not only the first.
    """
    mode = Mode(body.mode)
    unmet = mode_conditions(mode, settings.mode, settings.trading_enabled)
    if mode is Mode.LIVE:
        heartbeats = {process.name: process for process in await status.processes(conn)}
        alive = status.WORKER in heartbeats and heartbeats[status.WORKER].alive
        facts = await trading.live_facts(conn, settings, worker_alive=alive, confirmed=body.confirm == "LIVE")
        unmet = live_conditions(facts)
    if unmet:
        raise RefusedError(f"{mode} is refused: {'; '.join(condition.message for condition in unmet)}", unmet)
    version, changed = await trading.change(
        conn, mode, body.reason, actor=ACTOR, expected_version=body.expected_version
    )
    if changed:
        log.info("trading_toggled", toggle=mode.value, version=version, reason=body.reason)
    state = await trading.state(conn, settings)
    return AcceptedDTO(
        version=version,
        toggle=mode.value,
        changed=changed,
        acknowledged_version=state.acknowledged_version,
    )
