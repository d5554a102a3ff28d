"""``perpilot data check``: what is stored of each symbol and what is missing inside it."""

from typing import Any

from packages.common.db import connect

_SQL = """
SELECT i.symbol, i.status, count(c.ts), min(c.ts), max(c.ts),
       COALESCE((extract(epoch FROM max(c.ts) - min(c.ts)) / 60)::bigint + 1 - count(c.ts), 0)
FROM instruments i LEFT JOIN candles_1m c USING (symbol) WHERE i.in_universe
GROUP BY i.symbol, i.status, i.universe_rank ORDER BY i.universe_rank, i.symbol
"""


def check(database_url: str) -> dict[str, Any]:
    """``ok`` when no symbol misses a bar between its first and last that is not known as unavailable."""
    with connect(database_url, autocommit=True) as conn:
        rows = conn.execute(_SQL).fetchall()
        known = dict(
            conn.execute(
                "SELECT symbol, sum(missing_bars - repaired_bars)::bigint FROM data_gaps "
                "WHERE dataset = 'candles_1m' AND status = 'unavailable' GROUP BY 1"
            ).fetchall()
        )
    parts: dict[str, Any] = {}
    for symbol, status, bars, first, last, missing in rows:
        parts[symbol] = {
            "ok": missing <= known.get(symbol, 0) and (bars > 0 or status != "active"),
            "status": status,
            "bars": bars,
            "first": first and first.isoformat(),
            "last": last and last.isoformat(),
            "missing": missing,
            "unavailable": known.get(symbol, 0),
        }
    return {"ok": bool(parts) and all(part["ok"] for part in parts.values()), **parts}
