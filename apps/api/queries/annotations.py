"""Marks for charts at market time: models and settings from the minute they decided, halts, funding, risk events.

What an operator does has wall time, and an accelerated market another clock; so a change is marked where the decisions
first show it, which is also what a reader of a chart wants to know.
"""

from collections.abc import Sequence
from typing import Any, LiteralString

from apps.api.db import Connection
from apps.api.dto_history import Annotation, AnnotationList
from apps.api.params import Span
from apps.api.queries.rows import iso_at, iso_of
from packages.common.time import to_datetime

MOST = 500
_DECIDED: LiteralString = """
SELECT min(ts) AS ts, model_id, coalesce(settings_version, 0) AS version FROM decisions
WHERE mode = %(mode)s AND ts >= %(from)s AND ts < %(to)s GROUP BY 2, 3 ORDER BY 1
"""
_BEFORE: LiteralString = """
SELECT model_id, coalesce(settings_version, 0) AS version FROM decisions
WHERE mode = %(mode)s AND ts < %(from)s ORDER BY ts DESC LIMIT 1
"""
_POINTERS: LiteralString = "SELECT model_id, kind, set_by, reason FROM model_pointers"
_SETTINGS: LiteralString = "SELECT version, author, reason, diff FROM settings WHERE version = ANY(%s)"
# Every symbol is blocked alike while entries are forbidden: runs of such minutes of one of them are the halts.
_STOPPED: LiteralString = """
WITH minutes AS (
  SELECT ts, CASE WHEN block_reason_codes @> '[{"code": "KILL_SWITCH"}]' THEN 'KILL_SWITCH'
                  WHEN block_reason_codes @> '[{"code": "TRADING_OFF"}]' THEN 'TRADING_OFF' END AS code
  FROM signals WHERE symbol = 'BTCUSDT' AND mode = %(mode)s AND ts >= %(from)s AND ts < %(to)s
), runs AS (
  SELECT ts, code, count(*) FILTER (WHERE new) OVER (ORDER BY ts) AS run
  FROM (SELECT ts, code, code IS DISTINCT FROM lag(code) OVER (ORDER BY ts) AS new FROM minutes) m
)
SELECT code, min(ts) AS ts, max(ts) + interval '1 min' AS to_ts FROM runs WHERE code IS NOT NULL
GROUP BY run, code ORDER BY 2 DESC LIMIT %(most)s
"""
_FUNDING: LiteralString = """
SELECT ts, count(*) AS n, CASE WHEN count(*) = 1 THEN min(symbol) END AS symbol, avg(funding_rate) AS rate
FROM funding_rates
WHERE ts >= %(from)s AND ts < %(to)s AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
GROUP BY ts ORDER BY ts DESC LIMIT %(most)s
"""
_RISK: LiteralString = """
SELECT * FROM risk_events
WHERE ts >= %(from)s AND ts < %(to)s AND severity >= 2
  AND (%(symbol)s::text IS NULL OR symbol IS NULL OR symbol = %(symbol)s)
ORDER BY ts DESC, id DESC LIMIT %(most)s
"""


async def annotations(
    conn: Connection, span: Span, *, mode: str, symbol: str | None, kinds: Sequence[str]
) -> AnnotationList:
    """What happened in the span that a chart of ``symbol`` (None: of the account) marks; the newest ``MOST``."""
    params = {
        "mode": mode, "symbol": symbol, "from": to_datetime(span.from_ms), "to": to_datetime(span.to_ms),
        "most": MOST + 1,
    }  # fmt: skip
    found: list[Annotation] = []
    if not {"promotion", "settings"}.isdisjoint(kinds):
        found += [one for one in await _changes(conn, params) if one.kind in kinds]
    if not {"halt", "pause"}.isdisjoint(kinds):
        rows = await (await conn.execute(_STOPPED, params)).fetchall()
        found += [one for one in map(_stopped, rows) if one.kind in kinds]
    if "funding" in kinds:
        found += [_funding(row) for row in await (await conn.execute(_FUNDING, params)).fetchall()]
    if "risk" in kinds:
        found += [_risk(row) for row in await (await conn.execute(_RISK, params)).fetchall()]
    found.sort(key=lambda one: (one.ts, one.kind, one.code))
    return AnnotationList(items=found[-MOST:], cut=len(found) > MOST)


async def _changes(conn: Connection, params: dict[str, Any]) -> list[Annotation]:
    before = await (await conn.execute(_BEFORE, params)).fetchone()
    rows = await (await conn.execute(_DECIDED, params)).fetchall()
    pointers = {row["model_id"]: row for row in await (await conn.execute(_POINTERS)).fetchall()}
    versions = [row["version"] for row in rows]
    told = {row["version"]: row for row in await (await conn.execute(_SETTINGS, (versions,))).fetchall()}
    out = []
    model = before["model_id"] if before else None
    version = before["version"] if before else None
    for row in rows:
        if model is not None and row["model_id"] != model:
            pointer = pointers.get(row["model_id"], {})
            details = {"model_id": str(row["model_id"]), "by": pointer.get("set_by"), "reason": pointer.get("reason")}
            text = f"model {str(row['model_id'])[:8]} decides"
            out.append(
                Annotation(ts=iso_of(row["ts"]), kind="promotion", code="MODEL_CHANGED", text=text, details=details)
            )
        if version is not None and row["version"] != version:
            change = told.get(row["version"], {})
            names = [one["name"] for one in change.get("diff", ())]
            details = {
                "version": row["version"], "names": names, "by": change.get("author"), "reason": change.get("reason")
            }  # fmt: skip
            text = f"settings version {row['version']}" + (f": {', '.join(names)}" if names else "")
            out.append(
                Annotation(ts=iso_of(row["ts"]), kind="settings", code="SETTINGS_CHANGED", text=text, details=details)
            )
        model, version = row["model_id"], row["version"]
    return out


def _stopped(row: dict[str, Any]) -> Annotation:
    halted = row["code"] == "KILL_SWITCH"
    return Annotation(
        ts=iso_of(row["ts"]),
        to_ts=iso_at(row["to_ts"]),
        kind="halt" if halted else "pause",
        code=row["code"],
        text="entries halted by the kill-switch" if halted else "trading was off",
    )


def _funding(row: dict[str, Any]) -> Annotation:
    return Annotation(
        ts=iso_of(row["ts"]),
        kind="funding",
        code="FUNDING",
        symbol=row["symbol"],
        text=f"funding settled for {row['n']}",
        details={"symbols": row["n"], "mean_rate": row["rate"]},
    )


def _risk(row: dict[str, Any]) -> Annotation:
    return Annotation(
        ts=iso_of(row["ts"]),
        kind="risk",
        code=row["event_type"],
        symbol=row["symbol"],
        text=row["message"],
        details=row["details"] or {},
    )
