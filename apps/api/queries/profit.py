"""Profit by day, week and month, and equity curves to lay over each other."""

import asyncio
from typing import Any, Literal, LiteralString
from uuid import UUID

import numpy as np

from apps.api.db import Connection
from apps.api.downsample import min_max
from apps.api.dto_history import EquityCurve, EquityOverlay, ProfitOut, ProfitRow
from apps.api.errors import NotFoundError
from apps.api.params import Span
from apps.api.queries import account
from apps.api.queries.rows import iso_of, number
from packages.common.time import to_datetime

Period = Literal["day", "week", "month"]
# The last snapshot of a period is looked up by its key; "before" is the last one ahead of the span.
_PERIODS: LiteralString = """
WITH edges AS (
  SELECT date_trunc(%(period)s, ts) AS bucket, min(ts) AS first, max(ts) AS last FROM account_snapshots
  WHERE mode = %(mode)s AND ts >= %(from)s AND ts < %(to)s GROUP BY 1
), ends AS (
  SELECT e.bucket, f.equity AS first_equity, l.equity AS end_equity FROM edges e
  CROSS JOIN LATERAL (SELECT equity FROM account_snapshots WHERE mode = %(mode)s AND ts = e.first) f
  CROSS JOIN LATERAL (SELECT equity FROM account_snapshots WHERE mode = %(mode)s AND ts = e.last) l
), closed AS (
  SELECT date_trunc(%(period)s, exit_ts) AS bucket, count(*) AS trades, sum(net) AS net,
         sum(fees + liquidation_fee) AS fees, sum(funding) AS funding
  FROM trades WHERE mode = %(mode)s AND exit_ts >= %(from)s AND exit_ts < %(to)s GROUP BY 1
)
SELECT bucket, bucket + ('1 ' || %(period)s)::interval AS until, end_equity,
       coalesce(lag(end_equity) OVER (ORDER BY bucket),
                (SELECT equity FROM account_snapshots WHERE mode = %(mode)s AND ts < %(from)s ORDER BY ts DESC LIMIT 1),
                first_equity) AS start_equity,
       coalesce(trades, 0) AS trades, coalesce(net, 0) AS net, coalesce(fees, 0) AS fees,
       coalesce(funding, 0) AS funding
FROM ends FULL JOIN closed USING (bucket) ORDER BY bucket DESC
"""
_PACKAGE: LiteralString = """
SELECT m.model_id, m.artifact_uri FROM models m LEFT JOIN model_pointers p USING (model_id)
WHERE (%(id)s::uuid IS NULL AND p.kind IN ('production', 'demo')) OR m.model_id = %(id)s::uuid
ORDER BY p.kind = 'production' DESC NULLS LAST LIMIT 1
"""


async def profit(conn: Connection, span: Span, mode: str, period: Period) -> ProfitOut:
    """Periods of the span, newest first, UTC. The span is widened to whole periods at its start."""
    row = await (
        await conn.execute("SELECT date_trunc(%s, %s::timestamptz) AS start", (period, to_datetime(span.from_ms)))
    ).fetchone()
    assert row is not None
    params = {"mode": mode, "period": period, "from": row["start"], "to": to_datetime(span.to_ms)}
    rows = await (await conn.execute(_PERIODS, params)).fetchall()
    return ProfitOut(mode=mode, period=period, items=[_row(one) for one in rows])


def _row(row: dict[str, Any]) -> ProfitRow:
    start, end = number(row["start_equity"]), number(row["end_equity"])
    gain = None if start is None or end is None else end - start
    return ProfitRow(
        from_ts=iso_of(row["bucket"]),
        to_ts=iso_of(row["until"]),
        start_equity=start,
        end_equity=end,
        profit=gain,
        profit_frac=gain / start if gain is not None and start else None,
        trades=row["trades"],
        net=number(row["net"]) or 0.0,
        fees=number(row["fees"]) or 0.0,
        funding=number(row["funding"]) or 0.0,
    )


async def overlay(conn: Connection, span: Span, model_id: UUID | None) -> EquityOverlay:
    """Live and shadow in the span, and the backtest that ``model_id`` (the one in use by default) was judged by."""
    curves = []
    for mode in ("live", "shadow"):
        found = await account.curve(conn, mode, span)
        if found["ts"].size:
            curves.append(_curve(mode, None, found["ts"], found["equity"], found["drawdown"]))
    row = await (await conn.execute(_PACKAGE, {"id": model_id})).fetchone()
    if row is None and model_id is not None:
        raise NotFoundError(f"model: got {str(model_id)!r}, expected one of /api/models")
    told = None if row is None else await asyncio.to_thread(_backtest, row["artifact_uri"])
    if told is not None and row is not None:
        ts, equity, drawdown = told
        curves.append(_curve("backtest", str(row["model_id"]), ts, equity, drawdown))
    return EquityOverlay(from_ts=span.from_ms, to_ts=span.to_ms, curves=curves)


def _curve(source: Any, model_id: str | None, ts: Any, equity: Any, drawdown: Any) -> EquityCurve:
    return EquityCurve(
        source=source,
        model_id=model_id,
        ts=ts.tolist(),
        equity=[number(value) for value in equity],
        drawdown=[number(value) for value in drawdown],
    )


def _backtest(uri: str) -> tuple[Any, Any, Any] | None:
    """Equity of every minute of the model's walk-forward, thinned; None where the package has none."""
    from apps.api.queries.package_files import read_part

    text = read_part(uri, "report.equity.csv")
    if text is None:
        return None
    table = np.loadtxt(text.decode().splitlines()[1:], delimiter=",", ndmin=2)
    if not table.size:
        return None
    ts, equity = table[:, 0].astype(np.int64), table[:, 1]
    drawdown = 1.0 - equity / np.fmax.accumulate(equity)
    keep = min_max(equity)
    return ts[keep], equity[keep], drawdown[keep]
