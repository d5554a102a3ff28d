"""The trading toggle, the gate of live trading, the kill-switch, and commands for one symbol.

Commands are versioned rows that the worker reads and acknowledges, or answers. There is no message to lose.
"""

from typing import Annotated

import structlog
from fastapi import APIRouter, Body, Query, Request
from starlette.responses import Response

from apps.api.auth import Caller
from apps.api.deps import Config, Db
from apps.api.dto import (
    AcceptedDTO,
    CommandIn,
    CommandKind,
    DeskCommandDTO,
    GateDTO,
    KillSwitchAcceptedDTO,
    KillSwitchIn,
    ToggleIn,
    TradingStateDTO,
)
from apps.api.errors import Condition, InvalidInputError, NotFoundError, RefusedError
from apps.api.live_gate import live_state, mode_conditions, refusal
from apps.api.params import Cursor, Limit, SymbolPath, symbol_name
from apps.api.queries import desk_commands, gate, status, trading
from apps.api.responses import link_next
from packages.common.types import Mode

router = APIRouter(prefix="/api", tags=["trading"])
log = structlog.get_logger(__name__)

_EXAMPLES = {
    "shadow": {"summary": "Trade the shadow account", "value": {"mode": "shadow", "reason": "data is whole"}},
    "live": {"summary": "Trade the account", "value": {"mode": "live", "reason": "first stage", "confirm": "LIVE"}},
    "off": {"summary": "No new entries", "value": {"mode": "off", "reason": "news ahead"}},
}
_SWITCH_EXAMPLES = {
    "halt": {"summary": "No new entries, stops stay", "value": {"action": "halt", "reason": "news ahead"}},
    "flatten": {"summary": "Leave everything", "value": {"action": "flatten", "reason": "going away"}},
    "resume": {"summary": "Clear the latch", "value": {"action": "resume", "reason": "the cause is mended"}},
}
Anew = Annotated[bool, Query(description="Ask the account now, and wait for that up to 12 s.")]


@router.get("/trading/state", operation_id="getTradingState")
async def get_trading_state(conn: Db, settings: Config) -> TradingStateDTO:
    """What was asked for, and whether the worker has taken it over."""
    return await trading.state(conn, settings)


@router.get("/trading/gate", operation_id="getGate")
async def get_gate(conn: Db, settings: Config, caller: Caller, anew: Anew = False) -> GateDTO:
    """Everything that live trading needs, met or not. The worker, which holds the key, asks the account every 30 s."""
    return await gate.gate(conn, settings, caller, anew=anew)


@router.post("/trading/toggle", status_code=202, operation_id="toggleTrading")
async def toggle_trading(
    conn: Db, settings: Config, caller: Caller, body: Annotated[ToggleIn, Body(openapi_examples=_EXAMPLES)]
) -> AcceptedDTO:
    """Ask for off, shadow or live. Accepted once the worker acknowledges the version; asking again acts once.

    What is refused lists every unmet condition, not only the first. At an emulated exchange no money is at stake:
    production model, evidence, sign-in and second factor are not asked for there.
    """
    mode = Mode(body.mode)
    if mode is Mode.LIVE:
        caller.require("toggleTrading.live")
    unmet = mode_conditions(mode, settings.mode, settings.trading_enabled)
    if mode is Mode.LIVE:
        found = await gate.gate(conn, settings, caller, confirmation=body.confirm or "", anew=True)
        unmet = refusal(found.conditions)
    if unmet:
        raise RefusedError(f"{mode} is refused: {'; '.join(condition.message for condition in unmet)}", unmet)
    version, changed = await trading.change(
        conn, mode, body.reason, actor=caller.name, expected_version=body.expected_version
    )
    if changed:
        log.info("trading_toggled", toggle=mode.value, version=version, actor=caller.name, reason=body.reason)
    state = await trading.state(conn, settings)
    return AcceptedDTO(
        version=version,
        toggle=mode.value,
        changed=changed,
        acknowledged_version=state.acknowledged_version,
    )


@router.post("/trading/kill-switch", status_code=202, operation_id="moveKillSwitch")
async def move_kill_switch(
    conn: Db, settings: Config, caller: Caller, body: Annotated[KillSwitchIn, Body(openapi_examples=_SWITCH_EXAMPLES)]
) -> KillSwitchAcceptedDTO:
    """Halt, flatten or resume (D24). A stricter latch that stands is not softened by asking for a milder one.

    A latch whose condition still holds stands again after a resume. Flattening needs an account that is traded.
    """
    if body.action == "resume":
        caller.require("moveKillSwitch.resume")
    if body.action == "resume" and body.reason is None:
        raise InvalidInputError("reason", None, "why the latch may be cleared: it is kept")
    if body.action == "flatten" and settings.mode != "live":
        raise RefusedError("flatten is refused: no account is traded here, MODE is not live", [_NOT_LIVE])
    version, word, changed = await trading.switch(
        conn, body.action, body.reason or body.action, actor=caller.name, expected_version=body.expected_version
    )
    if changed:
        log.warning("kill_switch_moved", kill_switch=word, version=version, actor=caller.name, reason=body.reason)
    state = await trading.state(conn, settings)
    return KillSwitchAcceptedDTO(
        version=version, kill_switch=word, changed=changed, acknowledged_version=state.acknowledged_version
    )


@router.get("/trading/commands", operation_id="listDeskCommands")
async def list_desk_commands(
    conn: Db, request: Request, response: Response, cursor: Cursor = None, limit: Limit = 50
) -> list[DeskCommandDTO]:
    """What was asked of single symbols and what came of it, newest first. The next page is in the Link header."""
    items, following = await desk_commands.newest(conn, cursor=cursor, limit=limit)
    link_next(request, response, following)
    return items


@router.post("/positions/{symbol}/close", status_code=202, operation_id="closePosition")
async def close_position(conn: Db, symbol: SymbolPath, body: CommandIn, caller: Caller) -> DeskCommandDTO:
    """Leave the position of one symbol at the market, reduce-only. Asking again while it waits acts once."""
    return await _ask(conn, "close", symbol, body.reason, caller)


@router.post("/symbols/{symbol}/pause", status_code=202, operation_id="pauseSymbol")
async def pause_symbol(conn: Db, symbol: SymbolPath, body: CommandIn, caller: Caller) -> DeskCommandDTO:
    """No new entries on one symbol until it is unpaused; its position and stops stay."""
    return await _ask(conn, "pause", symbol, body.reason, caller)


@router.post("/symbols/{symbol}/unpause", status_code=202, operation_id="unpauseSymbol")
async def unpause_symbol(conn: Db, symbol: SymbolPath, body: CommandIn, caller: Caller) -> DeskCommandDTO:
    """Allow entries again."""
    return await _ask(conn, "unpause", symbol, body.reason, caller)


_NOT_LIVE = Condition(code="LIVE_NOT_RUNNING", message="no account is traded: start the desk with MODE=live and a key")


async def _ask(conn: Db, kind: CommandKind, symbol: str, reason: str, caller: Caller) -> DeskCommandDTO:
    """Only of a worker that can answer: a close that waits for a start of another day is not what was meant."""
    name = symbol_name(symbol)
    processes = {process.name: process for process in await status.processes(conn)}
    live = live_state(processes.get(status.WORKER))
    if live is None:
        raise RefusedError(f"{kind} {name} is refused: {_NOT_LIVE.message}", [_NOT_LIVE])
    if name not in live.get("locked", {}) and not await desk_commands.known(conn, name):
        raise NotFoundError(f"symbol: got {name!r}, expected one that the desk knows")
    command = await desk_commands.ask(conn, kind, name, reason, actor=caller.name)
    log.warning("desk_command", kind=kind, symbol=name, command_id=command.command_id, reason=reason)
    return command
