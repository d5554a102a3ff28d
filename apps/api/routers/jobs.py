"""Jobs and schedules as actions."""

from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Body, Path
from redis.exceptions import RedisError

from apps.api.auth import Caller
from apps.api.deps import Config, Db, Res, Resources
from apps.api.dto_actions import CancelIn, Empty, JobIn, RepairIn, ScheduleDTO, ScheduleIn
from apps.api.errors import InvalidInputError
from apps.api.params import instant, symbol_name
from apps.api.queries import jobs, training, universe
from packages.common.types import JobDTO

router = APIRouter(prefix="/api", tags=["training"])
log = structlog.get_logger(__name__)
Name = Annotated[str, Path(pattern="^[a-z_]{1,60}$", examples=["train_model"])]

_JOBS = {
    "train": {"summary": "Train a candidate", "value": {"kind": "train_model", "params": {"folds": 5}}},
    "labels": {"summary": "Label what is new", "value": {"kind": "label_recent", "params": {}}},
    "backtest": {"summary": "Trade a walk-forward again", "value": {"kind": "walkforward_backtest", "params": {}}},
}
_SCHEDULES = {
    "move": {"summary": "Retrain every three days", "value": {"every": "3d", "at": "40m", "reason": "markets move"}},
    "off": {"summary": "Switch off", "value": {"enabled": False}},
}
_REPAIR = {
    "day": {
        "summary": "One symbol, one day",
        "value": {"symbol": "BTCUSDT", "from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z"},
    }
}


@router.get("/training/jobs/{job_id}", operation_id="getJob")
async def get_job(conn: Db, job_id: UUID) -> JobDTO:
    """One job of any kind, with its progress."""
    return await training.job(conn, job_id)


@router.post("/training/jobs", status_code=202, operation_id="startJob")
async def start_job(
    conn: Db, res: Res, settings: Config, caller: Caller, body: Annotated[JobIn, Body(openapi_examples=_JOBS)]
) -> JobDTO:
    """Ask for a job. While an equal one waits or runs, that one is the answer. `params` that its kind does not know
    end it with an `error`."""
    job = await jobs.start(conn, settings, body.kind, body.params, caller.name)
    log.info("job_asked_for", kind=job.kind, job_id=job.job_id, actor=caller.name)
    return await _shown(res, job)


@router.post("/training/jobs/{job_id}/cancel", status_code=202, operation_id="cancelJob")
async def cancel_job(conn: Db, res: Res, settings: Config, caller: Caller, job_id: UUID, body: CancelIn) -> JobDTO:
    """Ask a job to stop; it does at its next step. 409 when it has ended."""
    return await _shown(res, await jobs.cancel(conn, settings, job_id, body.reason, caller.name))


@router.post("/training/jobs/{job_id}/retry", status_code=202, operation_id="retryJob")
async def retry_job(conn: Db, res: Res, settings: Config, caller: Caller, job_id: UUID, body: Empty) -> JobDTO:
    """Ask for the same again, as a new job. 409 while the first waits or runs."""
    return await _shown(res, await jobs.retry(conn, settings, job_id, caller.name))


@router.post("/data-quality/repair", status_code=202, operation_id="startRepair")
async def start_repair(
    conn: Db, res: Res, settings: Config, caller: Caller, body: Annotated[RepairIn, Body(openapi_examples=_REPAIR)]
) -> JobDTO:
    """Fill the holes of a span from the exchange, as a job; what it has not is noted as unavailable."""
    if body.symbol is not None:
        await universe.require_symbol(conn, symbol_name(body.symbol))
    from_ms, to_ms = instant("from", body.from_), instant("to", body.to)
    if from_ms >= to_ms:
        raise InvalidInputError("from", body.from_, f"an instant before to ({body.to})")
    return await _shown(res, await jobs.repair(conn, settings, body.symbol, from_ms, to_ms, caller.name))


@router.get("/schedules", operation_id="listSchedules")
async def list_schedules(conn: Db) -> list[ScheduleDTO]:
    """What is asked for by itself (D42), when it is next, and the newest job of each."""
    return await jobs.schedules(conn)


@router.post("/schedules/{name}", operation_id="changeSchedule")
async def change_schedule(
    conn: Db,
    settings: Config,
    caller: Caller,
    name: Name,
    body: Annotated[ScheduleIn, Body(openapi_examples=_SCHEDULES)],
) -> ScheduleDTO:
    """Switch a schedule on or off, or move it; the scheduler follows within seconds."""
    return await jobs.change_schedule(conn, settings, name, body, caller.name)


@router.post("/schedules/{name}/run", status_code=202, operation_id="runSchedule")
async def run_schedule(conn: Db, res: Res, settings: Config, caller: Caller, name: Name, body: Empty) -> JobDTO:
    """Its job now. While one of this kind waits or runs, that one is the answer."""
    return await _shown(res, await jobs.run_schedule(conn, settings, name, caller.name))


async def _shown(res: Resources, job: JobDTO) -> JobDTO:
    """``job`` on every screen at once; one that misses it reads the table."""
    try:
        await res.redis.xadd("training_updates", {"data": job.model_dump_json()}, maxlen=1_000, approximate=True)
    except (RedisError, OSError) as exc:
        log.info("training_update_not_published", error=type(exc).__name__)
    return job
