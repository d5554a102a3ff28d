"""The agent's models and decisions, as stored (§25.4)."""

from typing import Any

from apps.api.db import Connection
from apps.api.dto_pages import RLDecisionDTO, RLModelDTO
from apps.api.queries.rows import iso_at, iso_of, number

_MODELS = "SELECT * FROM rl_models ORDER BY is_production DESC, created_at DESC LIMIT 500"
_DECISIONS = """
SELECT * FROM rl_decisions WHERE (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
ORDER BY ts DESC, id DESC LIMIT %(limit)s
"""


async def models(conn: Connection) -> list[RLModelDTO]:
    """In production first, then newest first."""
    rows = await (await conn.execute(_MODELS)).fetchall()
    return [
        RLModelDTO(
            model_id=row["model_id"],
            symbol=row["symbol"],
            algorithm=row["algorithm"],
            train_start=iso_of(row["train_start"]),
            train_end=iso_of(row["train_end"]),
            metrics=row["metrics"] or {},
            is_production=bool(row["is_production"]),
            created_at=iso_at(row["created_at"]),
        )
        for row in rows
    ]


async def decisions(conn: Connection, *, symbol: str | None, limit: int) -> list[RLDecisionDTO]:
    """Newest first."""
    rows = await (await conn.execute(_DECISIONS, {"symbol": symbol, "limit": limit})).fetchall()
    return [_decision(row) for row in rows]


def _decision(row: dict[str, Any]) -> RLDecisionDTO:
    chances = row["action_probs"] if isinstance(row["action_probs"], dict) else {}
    return RLDecisionDTO(
        id=row["id"],
        ts=iso_of(row["ts"]),
        symbol=row["symbol"],
        model_id=row["model_id"],
        mode=row["mode"],
        action=row["action"],
        action_name=row["action_name"],
        confidence=number(row["confidence"]),
        action_probs={str(name): float(chance) for name, chance in chances.items()},
        executed=bool(row["executed"]),
        pnl_result=number(row["pnl_result"]),
    )
