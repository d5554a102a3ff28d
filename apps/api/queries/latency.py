"""How long minutes took, as histograms: each stage of the worker, and from a bar's close to its decision."""

from typing import LiteralString

import numpy as np

from apps.api.db import Connection
from apps.api.dto_history import LatencyOut, LatencyStage
from apps.api.params import Span
from apps.api.queries.columns import fetch_columns
from apps.api.queries.rows import number
from packages.common.time import to_datetime

EDGES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 2e4, 6e4)
_STAGES = ("features", "decision", "minute")
_LATE = "bar_to_decision"
_ROWS: LiteralString = """
SELECT coalesce((timings->>'features')::float8, 'NaN'), coalesce((timings->>'decision')::float8, 'NaN'),
       coalesce((timings->>'minute')::float8, 'NaN'),
       greatest(0, extract(epoch FROM decided_at - ts) * 1000 - 60000)::float8
FROM decisions WHERE mode = %(mode)s AND ts >= %(from)s AND ts < %(to)s
"""


async def latency(conn: Connection, span: Span, mode: str) -> LatencyOut:
    """Stages in wall milliseconds; what lies between a bar's close and its decision in market milliseconds."""
    names = (*_STAGES, _LATE)
    params = {"mode": mode, "from": to_datetime(span.from_ms), "to": to_datetime(span.to_ms)}
    columns = await fetch_columns(conn, _ROWS, params, [(name, "f8") for name in names])
    stages = []
    for name in names:
        values = columns[name][np.isfinite(columns[name])]
        counts = np.bincount(np.searchsorted(EDGES, values, side="right"), minlength=len(EDGES) + 1)
        p50, p90, p99 = np.percentile(values, (50, 90, 99)) if values.size else (None, None, None)
        stages.append(
            LatencyStage(
                stage=name,
                unit="market_ms" if name == _LATE else "wall_ms",
                n=int(values.size),
                counts=counts.tolist(),
                p50=number(p50),
                p90=number(p90),
                p99=number(p99),
                max=number(values.max()) if values.size else None,
            )
        )
    return LatencyOut(from_ts=span.from_ms, to_ts=span.to_ms, edges=list(EDGES), stages=stages)
