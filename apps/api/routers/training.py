"""Jobs and models."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from apps.api.deps import Db
from apps.api.dto import ModelDetailDTO
from apps.api.params import Cursor, Limit
from apps.api.queries import training
from apps.api.responses import link_next
from packages.common.types import JobDTO, ModelDTO

router = APIRouter(prefix="/api", tags=["training"])
JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]


@router.get("/training/jobs", operation_id="listJobs")
async def list_jobs(
    conn: Db,
    request: Request,
    response: Response,
    *,
    kind: Annotated[str | None, Query(max_length=60, pattern="^[a-z_]+$", examples=["train_model"])] = None,
    status: JobStatus | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> list[JobDTO]:
    """Jobs of every kind, newest first, with progress (0 to 1) and the time left at the pace so far. The next page is
    in the Link header."""
    items, following = await training.jobs(conn, kind=kind, status=status, cursor=cursor, limit=limit)
    link_next(request, response, following)
    return items


@router.get("/models", operation_id="listModels")
async def list_models(
    conn: Db, request: Request, response: Response, cursor: Cursor = None, limit: Limit = 500
) -> list[ModelDTO]:
    """Models, newest first; `pointer` says what a model is in use for. The next page is in the Link header."""
    items, following = await training.models(conn, cursor=cursor, limit=limit)
    link_next(request, response, following)
    return items


@router.get("/models/{model_id}", operation_id="getModel")
async def get_model(conn: Db, model_id: UUID) -> ModelDetailDTO:
    """One model with its label specification and its evidence (D31)."""
    return await training.model(conn, model_id)
