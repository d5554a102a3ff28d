"""The audit log, for admins."""

from fastapi import APIRouter

from apps.api import audit
from apps.api.deps import Db, Res
from apps.api.dto_auth import AuditDTO, AuditPage, ChainDTO
from apps.api.params import Cursor, Limit, decode_cursor, encode_cursor
from apps.api.queries.rows import iso_of

router = APIRouter(prefix="/api/audit", tags=["audit"])


@router.get("", operation_id="listAudit")
async def list_audit(conn: Db, res: Res, cursor: Cursor = None, limit: Limit = 100) -> AuditPage:
    """Every change, newest first, and whether the chain of their hashes is whole."""
    before = None if cursor is None else decode_cursor(cursor, (int,))[0]
    rows = await audit.newest(conn, before, limit + 1)
    broken = await res.chain.first_broken(conn)
    items = [
        AuditDTO(
            seq=row["seq"],
            ts=iso_of(row["ts"]),
            actor=row["actor"],
            action=row["action"],
            target=row["target"],
            before=row["before"],
            after=row["after"],
            reason=row["reason"],
        )
        for row in rows[:limit]
    ]
    following = encode_cursor(items[-1].seq) if len(rows) > limit else None
    return AuditPage(items=items, next_cursor=following, chain=ChainDTO(ok=broken is None, first_broken=broken))
