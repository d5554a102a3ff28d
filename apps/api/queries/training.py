"""Jobs and models."""

from typing import Any, LiteralString
from uuid import UUID

from apps.api.db import Connection
from apps.api.dto import EvidenceDTO, ModelDetailDTO
from apps.api.errors import NotFoundError
from apps.api.queries.rows import iso_at, iso_of, number
from packages.common.types import JobDTO, ModelDTO

_JOBS: LiteralString = """
SELECT job_id, kind, created_at, started_at, ended_at, status, progress, stage, config, report_uri, error,
       CASE WHEN status = 'running' AND progress > 0 AND progress <= 1 THEN
         extract(epoch FROM now() - started_at) * (1 - progress) / progress END::float8 AS eta_s
FROM jobs
WHERE (%(kind)s::text IS NULL OR kind = %(kind)s) AND (%(status)s::text IS NULL OR status = %(status)s)
ORDER BY created_at DESC LIMIT %(limit)s
"""
_MODELS: LiteralString = """
SELECT m.*, (SELECT string_agg(kind, ',' ORDER BY array_position(ARRAY['production', 'demo', 'challenger'], kind))
             FROM model_pointers p WHERE p.model_id = m.model_id) AS pointers
FROM models m
"""
_EVIDENCE: LiteralString = """
SELECT kind, created_at, valid_until, passed, figures, passed AND coalesce(valid_until > now(), TRUE) AS valid
FROM model_evidence WHERE model_id = %s ORDER BY created_at DESC
"""


async def jobs(conn: Connection, *, kind: str | None, status: str | None, limit: int) -> list[JobDTO]:
    """Newest jobs first; ``eta_s`` by the pace so far."""
    cursor = await conn.execute(_JOBS, {"kind": kind, "status": status, "limit": limit})
    return [_job(row) for row in await cursor.fetchall()]


async def models(conn: Connection) -> list[ModelDTO]:
    """Every model, newest first."""
    rows = await (await conn.execute(_MODELS + " ORDER BY m.created_at DESC LIMIT 500")).fetchall()
    return [ModelDTO(**_model(row)) for row in rows]


async def model(conn: Connection, model_id: UUID) -> ModelDetailDTO:
    """One model with its evidence; ``NotFoundError`` when there is none."""
    row = await (await conn.execute(_MODELS + " WHERE m.model_id = %s", (model_id,))).fetchone()
    if row is None:
        raise NotFoundError(f"model: got {str(model_id)!r}, expected one of /api/models")
    evidence = await (await conn.execute(_EVIDENCE, (model_id,))).fetchall()
    return ModelDetailDTO(
        **_model(row),
        content_hash=row["content_hash"],
        label_spec=row["label_spec"],
        evidence=[
            EvidenceDTO(
                kind=entry["kind"],
                created_at=iso_of(entry["created_at"]),
                valid_until=iso_at(entry["valid_until"]),
                passed=entry["passed"],
                valid=entry["valid"],
                figures=entry["figures"],
            )
            for entry in evidence
        ],
    )


def _job(row: dict[str, Any]) -> JobDTO:
    return JobDTO(
        job_id=str(row["job_id"]),
        kind=row["kind"],
        created_at=iso_of(row["created_at"]),
        started_at=iso_at(row["started_at"]),
        ended_at=iso_at(row["ended_at"]),
        status=row["status"],
        progress=number(row["progress"]) or 0.0,
        stage=row["stage"],
        config=row["config"],
        report_uri=row["report_uri"],
        error=row["error"],
        eta_s=number(row["eta_s"]),
    )


def _model(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "model_id": str(row["model_id"]),
        "created_at": iso_of(row["created_at"]),
        "algo": row["algo"],
        "feature_schema_version": row["feature_schema_version"],
        "label_spec_hash": row["label_spec_hash"],
        "train_start": iso_of(row["train_start"]),
        "train_end": iso_of(row["train_end"]),
        "metrics": row["metrics"],
        "artifact_uri": row["artifact_uri"],
        "is_production": row["is_production"],
        "status": row["status"],
        "pointer": row["pointers"].split(",")[0] if row["pointers"] else None,
    }
