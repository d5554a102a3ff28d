"""Health."""

from fastapi import APIRouter

from apps.api.deps import Config, Db
from apps.api.dto import ProcessDTO
from apps.api.queries import status
from packages.common.types import StatusDTO

router = APIRouter(prefix="/api/status", tags=["status"])


@router.get("", operation_id="getStatus")
async def get_status(conn: Db, settings: Config) -> StatusDTO:
    """Health in one object. When the worker has been silent for 10 s, `collector_ok` and every socket are false."""
    return await status.status(conn, settings)


@router.get("/processes", operation_id="listProcesses")
async def list_processes(conn: Db) -> list[ProcessDTO]:
    """Heartbeats of all processes; `age_ms` is wall time."""
    return await status.processes(conn)
