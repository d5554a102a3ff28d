"""Trading settings: read, changed as versions, followed until the worker has them."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Body

from apps.api.auth import Caller
from apps.api.deps import Config, Db
from apps.api.dto import RestartDTO, RestartIn, SettingsAcceptedDTO, SettingsDTO, SettingsIn, SettingsVersionsPage
from apps.api.params import Cursor, Limit
from apps.api.queries import settings as stored

router = APIRouter(prefix="/api/settings", tags=["settings"])
log = structlog.get_logger(__name__)

_EXAMPLES = {
    "stricter": {
        "summary": "Ask for more before entering",
        "value": {
            "changes": {"EV_MIN": 0.001, "MAX_POSITIONS": 4},
            "reason": "spreads are wide",
            "expected_version": 0,
        },
    },
    "universe": {
        "summary": "Trade fewer symbols",
        "value": {"changes": {"UNIVERSE": ["BTCUSDT", "ETHUSDT"]}, "reason": "only what is liquid"},
    },
}


@router.get("", operation_id="getSettings")
async def get_settings(conn: Db, settings: Config) -> SettingsDTO:
    """The trading settings in force, under the names of the specification (D43), and when a change of each counts."""
    return await stored.current(conn, settings)


@router.post("", status_code=202, operation_id="changeSettings")
async def change_settings(
    conn: Db, settings: Config, caller: Caller, body: Annotated[SettingsIn, Body(openapi_examples=_EXAMPLES)]
) -> SettingsAcceptedDTO:
    """Make a version. The worker takes it over within seconds and decides its next minute with it, except for what says
    `restart` (of the realtime worker) or `next_job` (labels and models made from then on)."""
    accepted = await stored.change(
        conn, settings, body.changes, body.reason, actor=caller.name, expected=body.expected_version
    )
    if accepted.changes:
        names = [change.name for change in accepted.changes]
        log.warning("settings_changed", version=accepted.version, names=names, actor=caller.name, reason=body.reason)
    return accepted


@router.post("/restart", status_code=202, operation_id="restartWorker")
async def restart_worker(conn: Db, settings: Config, caller: Caller, body: RestartIn) -> RestartDTO:
    """Have the realtime worker end after its minute and be started anew, so that settings count which need that. Stops
    of positions stay at the exchange meanwhile. 409 while it gives no sign of life: there is nobody to tell."""
    accepted = await stored.restart(conn, settings, body.reason, actor=caller.name)
    log.warning("restart_wanted", actor=caller.name, reason=body.reason)
    return accepted


@router.get("/versions", operation_id="listSettingsVersions")
async def list_settings_versions(conn: Db, cursor: Cursor = None, limit: Limit = 50) -> SettingsVersionsPage:
    """What was changed, by whom and why, newest first, and when the worker took it over."""
    return await stored.versions(conn, cursor, limit)
