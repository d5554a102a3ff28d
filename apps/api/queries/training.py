"""Jobs and models."""

import asyncio
from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

from apps.api.db import Connection
from apps.api.dto import EvidenceDTO, ModelDetailDTO
from apps.api.errors import InvalidInputError, NotFoundError
from apps.api.params import cursor_instant, decode_cursor, encode_cursor
from apps.api.queries.package_files import read_part
from apps.api.queries.rows import iso_at, iso_of, ms_of, number
from packages.common.time import MINUTE_MS
from packages.common.types import JobDTO, ModelDTO

_JOBS: LiteralString = """
SELECT (extract(epoch FROM created_at) * 1000000)::bigint AS place,
       job_id, kind, created_at, started_at, ended_at, status, progress, stage, config, report_uri, error,
       CASE WHEN status = 'running' AND progress > 0 AND progress <= 1 THEN
         extract(epoch FROM now() - started_at) * (1 - progress) / progress END::float8 AS eta_s
FROM jobs
WHERE (%(kind)s::text IS NULL OR kind = %(kind)s) AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(job_id)s::uuid IS NULL OR job_id = %(job_id)s::uuid)
  AND (%(place)s::timestamptz IS NULL OR (created_at, job_id) < (%(place)s, %(after)s::uuid))
ORDER BY created_at DESC, job_id DESC LIMIT %(rows)s
"""
_MODELS: LiteralString = """
SELECT m.*, (extract(epoch FROM m.created_at) * 1000000)::bigint AS place,
       (SELECT string_agg(kind, ',' ORDER BY array_position(ARRAY['production', 'demo', 'challenger'], kind))
             FROM model_pointers p WHERE p.model_id = m.model_id) AS pointers,
       (SELECT jsonb_agg(jsonb_build_object('at', to_char(o.at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'author', o.author,
                                            'reason', o.reason, 'missing', o.missing) ORDER BY o.id)
        FROM model_overrides o WHERE o.model_id = m.model_id) AS overrides
FROM models m
"""
_MODELS_PAGE: LiteralString = """
WHERE %(place)s::timestamptz IS NULL OR (m.created_at, m.model_id) < (%(place)s, %(after)s::uuid)
ORDER BY m.created_at DESC, m.model_id DESC LIMIT %(rows)s
"""
_NOWHERE: dict[str, Any] = {"job_id": None, "place": None, "after": None}
_EVIDENCE: LiteralString = """
SELECT kind, created_at, valid_until, passed, figures, passed AND coalesce(valid_until > now(), TRUE) AS valid
FROM model_evidence WHERE model_id = %s ORDER BY created_at DESC
"""


async def jobs(
    conn: Connection, *, kind: str | None, status: str | None, cursor: str | None, limit: int
) -> tuple[list[JobDTO], str | None]:
    """A page of jobs, newest first, and the cursor of the next; ``eta_s`` by the pace so far."""
    params: dict[str, Any] = {"kind": kind, "status": status, "rows": limit + 1, **_NOWHERE}
    if cursor:
        place, after = decode_cursor(cursor, (int, str))
        params |= {"place": cursor_instant(place), "after": _uuid(after)}
    rows = await (await conn.execute(_JOBS, params)).fetchall()
    more, rows = len(rows) > limit, rows[:limit]
    following = encode_cursor(rows[-1]["place"], str(rows[-1]["job_id"])) if more else None
    return [_job(row) for row in rows], following


async def job(conn: Connection, job_id: UUID) -> JobDTO:
    """One job; ``NotFoundError`` when there is none."""
    params = {"kind": None, "status": None, "rows": 1, **_NOWHERE, "job_id": job_id}
    row = await (await conn.execute(_JOBS, params)).fetchone()
    if row is None:
        raise NotFoundError(f"job: got {str(job_id)!r}, expected one of /api/training/jobs")
    return _job(row)


async def report(conn: Connection, model_id: UUID) -> bytes:
    """The HTML report of a model's package; ``NotFoundError`` where there is none."""
    found = await model(conn, model_id)
    page = await asyncio.to_thread(read_part, found.artifact_uri, "report.html")
    if page is None:
        raise NotFoundError(f"report: got {str(model_id)!r}, expected a model that was traded in its training")
    return page


async def newest_jobs(conn: Connection, kinds: Sequence[str]) -> dict[str, JobDTO]:
    """The newest job of each kind that ever had one."""
    found: dict[str, JobDTO] = {}
    for kind in kinds:
        jobs_of, _ = await jobs(conn, kind=kind, status=None, cursor=None, limit=1)
        found |= {one.kind: one for one in jobs_of}
    return found


async def market_ms(conn: Connection) -> int | None:
    """Market time as the batch side knows it: the close of the newest stored bar."""
    row = await (await conn.execute("SELECT max(ts) AS ts FROM candles_1m")).fetchone()
    newest = None if row is None else ms_of(row["ts"])
    return None if newest is None else newest + MINUTE_MS


async def models(conn: Connection, *, cursor: str | None, limit: int) -> tuple[list[ModelDTO], str | None]:
    """A page of models, newest first, and the cursor of the next."""
    params: dict[str, Any] = {"place": None, "after": None, "rows": limit + 1}
    if cursor:
        place, after = decode_cursor(cursor, (int, str))
        params |= {"place": cursor_instant(place), "after": _uuid(after)}
    rows = await (await conn.execute(_MODELS + _MODELS_PAGE, params)).fetchall()
    more, rows = len(rows) > limit, rows[:limit]
    following = encode_cursor(rows[-1]["place"], str(rows[-1]["model_id"])) if more else None
    return [ModelDTO(**_model(row)) for row in rows], following


async def model(conn: Connection, model_id: UUID) -> ModelDetailDTO:
    """One model with its evidence; ``NotFoundError`` when there is none."""
    row = await (await conn.execute(_MODELS + " WHERE m.model_id = %s", (model_id,))).fetchone()
    if row is None:
        raise NotFoundError(f"model: got {str(model_id)!r}, expected one of /api/models")
    evidence = await (await conn.execute(_EVIDENCE, (model_id,))).fetchall()
    return ModelDetailDTO(
        **_model(row),
        content_hash=row["content_hash"],
        report_url=f"/api/models/{row['model_id']}/report" if row["metrics"].get("trading") else None,
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


def _uuid(text: int | str) -> UUID:
    try:
        return UUID(str(text))
    except ValueError as exc:
        raise InvalidInputError("cursor", text, "the next_cursor of the page before") from exc


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
        "overrides": row["overrides"] or [],
    }
