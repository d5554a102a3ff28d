"""The agent's models and decisions, as stored (§25.4), and what promotes one of them (§25.7)."""

import math
from typing import Any, LiteralString

from apps.api import audit
from apps.api.db import Connection
from apps.api.dto_pages import RLActionCount, RLDecisionDTO, RLModelDTO, RLStatsOut
from apps.api.errors import Condition, NotFoundError, RefusedError
from apps.api.params import Span, cursor_instant, decode_cursor, encode_cursor
from apps.api.queries.rows import iso_at, iso_of, number
from packages.common.time import iso, to_datetime

_MODELS: LiteralString = """
SELECT *, (extract(epoch FROM created_at) * 1000000)::bigint AS place FROM rl_models
WHERE %(place)s::timestamptz IS NULL
   OR (is_production, created_at, model_id) < (%(production)s, %(place)s, %(after)s)
ORDER BY is_production DESC, created_at DESC, model_id DESC LIMIT %(rows)s
"""
_MODEL: LiteralString = "SELECT * FROM rl_models WHERE model_id = %s"
_DECISIONS: LiteralString = """
SELECT *, (extract(epoch FROM ts) * 1000000)::bigint AS place FROM rl_decisions
WHERE (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
  AND (%(place)s::timestamptz IS NULL OR (ts, id) < (%(place)s, %(after)s))
ORDER BY ts DESC, id DESC LIMIT %(rows)s
"""
_STATS: LiteralString = """
SELECT action, action_name, count(*) AS count, count(*) FILTER (WHERE executed) AS executed,
       avg(confidence) AS mean_confidence, sum(pnl_result) FILTER (WHERE executed) AS pnl,
       count(*) FILTER (WHERE executed AND pnl_result > 0) AS wins
FROM rl_decisions
WHERE ts >= %(from)s AND ts < %(to)s AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
  AND (%(model_id)s::text IS NULL OR model_id = %(model_id)s)
GROUP BY 1, 2 ORDER BY 1, 2
"""
_SHADOW: LiteralString = """
SELECT coalesce(extract(epoch FROM max(created_at) - min(created_at)) / 86400, 0)::float8 AS days,
       avg((action_name = 'HOLD')::int)::float8 AS hold
FROM rl_decisions WHERE model_id = %s AND mode = 'shadow'
"""
_IN_USE: LiteralString = "SELECT * FROM rl_models WHERE symbol = %s AND is_production AND model_id <> %s FOR UPDATE"
SHADOW_DAYS, PF_MIN, DD_MAX, HOLD_MAX = 7.0, 1.2, 0.10, 0.95


async def models(conn: Connection, *, cursor: str | None, limit: int) -> tuple[list[RLModelDTO], str | None]:
    """In production first, then newest first; and the cursor of the next page."""
    params: dict[str, Any] = {"place": None, "production": None, "after": None, "rows": limit + 1}
    if cursor:
        production, place, after = decode_cursor(cursor, (int, int, str))
        params |= {"production": bool(production), "place": cursor_instant(place), "after": after}
    rows = await (await conn.execute(_MODELS, params)).fetchall()
    more, rows = len(rows) > limit, rows[:limit]
    last = rows[-1] if more else None
    following = encode_cursor(int(last["is_production"]), last["place"], last["model_id"]) if last else None
    return [_model(row) for row in rows], following


async def model(conn: Connection, model_id: str) -> RLModelDTO:
    """One of them; ``NotFoundError`` when there is none."""
    row = await (await conn.execute(_MODEL, (model_id,))).fetchone()
    if row is None:
        raise NotFoundError(f"model_id: got {model_id!r}, expected one of /api/rl/models")
    return _model(row)


async def decisions(
    conn: Connection, *, symbol: str | None, cursor: str | None, limit: int
) -> tuple[list[RLDecisionDTO], str | None]:
    """Newest first, and the cursor of the next page."""
    params: dict[str, Any] = {"symbol": symbol, "place": None, "after": None, "rows": limit + 1}
    if cursor:
        place, after = decode_cursor(cursor, (int, int))
        params |= {"place": cursor_instant(place), "after": after}
    rows = await (await conn.execute(_DECISIONS, params)).fetchall()
    more, rows = len(rows) > limit, rows[:limit]
    return [_decision(row) for row in rows], encode_cursor(rows[-1]["place"], rows[-1]["id"]) if more else None


async def stats(conn: Connection, span: Span, *, model_id: str | None, symbol: str | None) -> RLStatsOut:
    """Decisions of the span by action."""
    params = {"from": to_datetime(span.from_ms), "to": to_datetime(span.to_ms), "symbol": symbol, "model_id": model_id}
    rows = await (await conn.execute(_STATS, params)).fetchall()
    numbers = ("mean_confidence", "pnl")
    return RLStatsOut(
        model_id=model_id,
        from_ts=iso(span.from_ms),
        to_ts=iso(span.to_ms),
        decisions=sum(row["count"] for row in rows),
        actions=[RLActionCount(**(row | {name: number(row[name]) for name in numbers})) for row in rows],
    )


async def promote(conn: Connection, model_id: str, reason: str, actor: str) -> RLModelDTO:
    """Put it in production in the place of its symbol's; ``RefusedError`` names every criterion it does not meet."""
    async with conn.transaction():
        row = await (await conn.execute(_MODEL + " FOR UPDATE", (model_id,))).fetchone()
        if row is None:
            raise NotFoundError(f"model_id: got {model_id!r}, expected one of /api/rl/models")
        held = await (await conn.execute(_IN_USE, (row["symbol"], model_id))).fetchone()
        lived = await (await conn.execute(_SHADOW, (model_id,))).fetchone()
        assert lived is not None
        unmet = _unmet(row["metrics"] or {}, (held or {}).get("metrics") or {}, lived["days"], lived["hold"])
        if unmet:
            raise RefusedError(f"promotion is refused: {'; '.join(one.message for one in unmet)}", unmet)
        await conn.execute("UPDATE rl_models SET is_production = FALSE WHERE symbol = %s", (row["symbol"],))
        await conn.execute("UPDATE rl_models SET is_production = TRUE WHERE model_id = %s", (model_id,))
        before = None if held is None else {"model_id": held["model_id"]}
        after = {"model_id": model_id, "symbol": row["symbol"]}
        await audit.append(
            conn, actor=actor, action="rl.promote", target=model_id, before=before, after=after, reason=reason
        )
    return await model(conn, model_id)


def _unmet(metrics: dict[str, Any], held: dict[str, Any], days: float, hold: float | None) -> list[Condition]:
    pf, best, drawdown = (_figure(found, name) for found, name in ((metrics, "PF"), (held, "PF"), (metrics, "max_dd")))
    least = PF_MIN if math.isnan(best) else max(PF_MIN, best)
    checks = (
        ("RL_SHADOW_TOO_SHORT", days >= SHADOW_DAYS, f"{days:.1f} days in shadow", f"at least {SHADOW_DAYS:g}"),
        ("RL_PROFIT_FACTOR", pf > least, f"profit factor {pf:g}", f"more than {least:g}"),
        ("RL_DRAWDOWN", drawdown < DD_MAX, f"drawdown {drawdown:g}", f"less than {DD_MAX:g}"),
        ("RL_ONLY_HOLDS", hold is not None and hold <= HOLD_MAX, f"share of HOLD {hold}", f"at most {HOLD_MAX:g}"),
    )
    return [Condition(code=code, message=f"{got}, expected {wanted}") for code, met, got, wanted in checks if not met]


def _figure(metrics: dict[str, Any], name: str) -> float:
    value = metrics.get(name)
    return float(value) if isinstance(value, int | float) else math.nan


def _model(row: dict[str, Any]) -> RLModelDTO:
    return RLModelDTO(
        model_id=row["model_id"],
        symbol=row["symbol"],
        algorithm=row["algorithm"],
        train_start=iso_of(row["train_start"]),
        train_end=iso_of(row["train_end"]),
        metrics=row["metrics"] or {},
        is_production=bool(row["is_production"]),
        created_at=iso_at(row["created_at"]),
    )


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
