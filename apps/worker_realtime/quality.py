"""How whole the last 24 hours of market time are, as the desk shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from packages.common.time import DAY_MS, MINUTE_MS, to_datetime


@dataclass(frozen=True, slots=True)
class Quality:
    """``missing_rate``: share of the expected candles of 24 h that is not stored, None before there is any."""

    open_gaps: int = 0
    missing_rate: float | None = None
    events: int = 0


_COUNTS = """
    SELECT (SELECT count(*) FROM data_gaps WHERE status = 'open'),
           (SELECT count(*) FROM quality_events WHERE ts > %(since)s),
           (SELECT count(*) FROM candles_1m WHERE ts > %(since)s AND ts <= %(now)s AND symbol = ANY(%(symbols)s)),
           (SELECT coalesce(sum(extract(epoch FROM %(now)s - greatest(%(since)s, f.ts)) / 60), 0) FROM (
              SELECT (SELECT min(c.ts) FROM candles_1m c WHERE c.symbol = s) - interval '1 minute' AS ts
              FROM unnest(%(symbols)s::text[]) s) f WHERE f.ts IS NOT NULL)
"""


def load_quality(conn: psycopg.Connection[Any], symbols: Sequence[str], newest_ts_ms: int | None) -> Quality:
    """Counts up to the newest stored minute; a symbol listed later is expected from its first candle on."""
    if newest_ts_ms is None:
        return Quality()
    now = newest_ts_ms - MINUTE_MS  # the newest minute may still be on its way to the table
    params = {"since": to_datetime(now - DAY_MS), "now": to_datetime(now), "symbols": list(symbols)}
    row = conn.execute(_COUNTS, params).fetchone()
    assert row is not None
    gaps, events, have, expected = row
    expected = float(expected)
    return Quality(int(gaps), max(0.0, 1.0 - have / expected) if expected > 0 else None, int(events))
