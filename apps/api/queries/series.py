"""History of one symbol as columns, thinned to what a screen can show."""

from typing import Any, LiteralString

from apps.api.db import Connection
from apps.api.downsample import significant, step_minutes
from apps.api.params import Span
from apps.api.queries.columns import Columns, fetch_columns, millis_sql, text_sql, texts
from apps.api.queries.rows import ms_of, number
from packages.common.time import MINUTE_MS, to_datetime

_PRICE_DIGITS = 7  # significant ones, of what the exchange did not round itself
_OTHER_DIGITS = 4  # of volumes and predictions: a tenth of a basis point

# S608: only literals of this module are put together; what was asked for goes in as parameters.
_CANDLES: LiteralString = f"""
SELECT {millis_sql("ts")}, open, high, low, close, volume FROM candles_1m
WHERE symbol = %(symbol)s AND ts >= %(from)s AND ts < %(to)s ORDER BY ts
"""  # noqa: S608
# Bars of several minutes are aggregates of the stored ones, never a second source (D37). First and last are looked
# up by key: cheaper than carrying every row through an ordered aggregate.
_WITHIN: LiteralString = "ts >= %(from)s AND ts < %(to)s"  # keeps other months out of the plan
_BUCKET: LiteralString = "date_bin(%(step)s, ts, timestamptz 'epoch')"
_LONG_CANDLES: LiteralString = f"""
SELECT {millis_sql("b.bucket")}, o.open, b.high, b.low, c.close, b.volume
FROM (SELECT {_BUCKET} AS bucket, min(ts) AS first, max(ts) AS last, max(high) AS high, min(low) AS low,
             sum(volume) AS volume
      FROM candles_1m WHERE symbol = %(symbol)s AND ts >= %(from)s AND ts < %(to)s GROUP BY 1) b
CROSS JOIN LATERAL (SELECT open FROM candles_1m WHERE symbol = %(symbol)s AND ts = b.first AND {_WITHIN}) o
CROSS JOIN LATERAL (SELECT close FROM candles_1m WHERE symbol = %(symbol)s AND ts = b.last AND {_WITHIN}) c
ORDER BY 1
"""  # noqa: S608
_MARK: LiteralString = f"""
SELECT {millis_sql("ts")}, close FROM mark_candles_1m
WHERE symbol = %(symbol)s AND ts >= %(from)s AND ts < %(to)s ORDER BY ts
"""  # noqa: S608
_LONG_MARK: LiteralString = f"""
SELECT {millis_sql("b.bucket")}, c.close
FROM (SELECT {_BUCKET} AS bucket, max(ts) AS last FROM mark_candles_1m
      WHERE symbol = %(symbol)s AND ts >= %(from)s AND ts < %(to)s GROUP BY 1) b
CROSS JOIN LATERAL (SELECT close FROM mark_candles_1m WHERE symbol = %(symbol)s AND ts = b.last AND {_WITHIN}) c
ORDER BY 1
"""  # noqa: S608
_FLOATS = ("ev_long", "ev_short", "er_long", "er_short", "q05_long", "q05_short", "e_mae_long", "e_mae_short")
_HOLDS = ("e_hold_long_min", "e_hold_short_min")
_SIGNAL_LIST: LiteralString = (
    f"{millis_sql('ts')}, coalesce(ev_long, 'NaN'), coalesce(ev_short, 'NaN'), coalesce(er_long, 'NaN'), "
    "coalesce(er_short, 'NaN'), coalesce(q05_long, 'NaN'), coalesce(q05_short, 'NaN'), coalesce(e_mae_long, 'NaN'), "
    "coalesce(e_mae_short, 'NaN'), coalesce(e_hold_long_min::float8, 'NaN'), "
    f"coalesce(e_hold_short_min::float8, 'NaN'), {text_sql('decision')}, "
    + text_sql("(block_reason_codes->0->>'code')")
)
_SIGNAL_FROM: LiteralString = """
FROM signals WHERE symbol = %(symbol)s AND ts >= %(from)s AND ts < %(to)s AND mode = %(mode)s
  AND model_id IS DISTINCT FROM (SELECT model_id FROM model_pointers WHERE kind = 'challenger')
"""
_SIGNALS: LiteralString = f"SELECT DISTINCT ON (ts) {_SIGNAL_LIST} {_SIGNAL_FROM} ORDER BY ts, model_id"
# One real row a bar, never a mean of several: the trade if there was one, else where the model was surest. The rows are
# chosen by their keys first, so that the sort carries no predictions.
_LONG_SIGNALS: LiteralString = f"""
SELECT {_SIGNAL_LIST}
FROM (SELECT DISTINCT ON ({_BUCKET}) symbol, ts, model_id, mode {_SIGNAL_FROM}
      ORDER BY {_BUCKET}, (decision = 'FLAT'),
               greatest(nullif(ev_long, 'NaN'), nullif(ev_short, 'NaN')) DESC NULLS LAST, ts) chosen
JOIN signals USING (symbol, ts, model_id, mode)
ORDER BY ts
"""  # noqa: S608
_SIGNAL_KINDS = [
    ("ts", "i8"),
    *((name, "f8") for name in (*_FLOATS, *_HOLDS)),
    ("decision", "text"),
    ("block_reason", "text"),
]
_POSITIONS: LiteralString = """
SELECT t.side, t.entry_ts, t.exit_ts, t.entry_price, t.exit_price, t.sl_price, t.tp_price, p.liquidation_price,
       t.exit_reason, t.net
FROM trades t
LEFT JOIN LATERAL (
  SELECT liquidation_price FROM positions p
  WHERE p.symbol = t.symbol AND p.side = t.side AND p.mode = t.mode AND p.ts >= t.entry_ts AND p.ts <= t.exit_ts
  ORDER BY p.ts DESC LIMIT 1) p ON TRUE
WHERE t.mode = %(mode)s AND t.symbol = %(symbol)s AND t.entry_ts < %(to)s AND t.exit_ts >= %(from)s
UNION ALL
SELECT p.side, coalesce(p.opened_ts, p.ts), NULL, p.entry_price, NULL, p.sl_price, p.tp_price, p.liquidation_price,
       NULL, NULL
FROM positions p
WHERE p.mode = %(mode)s AND p.symbol = %(symbol)s AND coalesce(p.opened_ts, p.ts) < %(to)s
  AND p.ts = (SELECT ts FROM account_snapshots WHERE mode = %(mode)s ORDER BY ts DESC LIMIT 1)
ORDER BY 2 DESC
LIMIT 2000
"""
_NEWEST = "SELECT ts FROM candles_1m WHERE symbol = %s ORDER BY ts DESC LIMIT 1"


async def newest_ms(conn: Connection, symbol: str) -> int | None:
    """Open time of the newest bar."""
    row = await (await conn.execute(_NEWEST, (symbol,))).fetchone()
    return None if row is None else ms_of(row["ts"])


async def series(conn: Connection, symbol: str, mode: str, span: Span) -> dict[str, Any]:
    """The document of ``SeriesOut``; columns are numpy arrays or lists, NaN where nothing is known."""
    step = step_minutes(span.to_ms - span.from_ms)
    params = {
        "symbol": symbol,
        "mode": mode,
        "from": to_datetime(span.from_ms),
        "to": to_datetime(span.to_ms),
        "step": f"{step} min",
    }
    prices = [("ts", "i8"), *((name, "f8") for name in ("open", "high", "low", "close", "volume"))]
    candles = await fetch_columns(conn, _LONG_CANDLES if step > 1 else _CANDLES, params, prices)
    mark = await fetch_columns(conn, _LONG_MARK if step > 1 else _MARK, params, [("ts", "i8"), ("close", "f8")])
    signals = await fetch_columns(conn, _LONG_SIGNALS if step > 1 else _SIGNALS, params, _SIGNAL_KINDS)
    if step > 1:
        signals["ts"] = signals["ts"] - signals["ts"] % (step * MINUTE_MS)
        # A long span is a picture: more digits than it can show would make a year of it too heavy for the wire.
        mark["close"] = significant(mark["close"], _PRICE_DIGITS)
        candles["volume"] = significant(candles["volume"], _OTHER_DIGITS)
        for name in (*_FLOATS, *_HOLDS):
            signals[name] = significant(signals[name], _OTHER_DIGITS)
    rows = await (await conn.execute(_POSITIONS, params)).fetchall()
    return {
        "symbol": symbol,
        "mode": mode,
        "interval_min": step,
        "from_ts": span.from_ms,
        "to_ts": span.to_ms,
        "candles": candles,
        "mark": mark,
        "signals": _named(signals),
        "positions": [_position(row, _PRICE_DIGITS if step > 1 else None) for row in reversed(rows)],
    }


def _named(signals: Columns) -> dict[str, Any]:
    words = {name: texts(signals[name]) for name in ("decision", "block_reason")}
    return {**signals, **words}


def _told(value: object, digits: int | None) -> float | None:
    """A number of a row, rounded to ``digits`` significant ones unless None."""
    found = number(value)
    return found if found is None or digits is None else float(f"{found:.{digits}g}")


def _position(row: dict[str, Any], digits: int | None) -> dict[str, Any]:
    prices = ("entry_price", "exit_price", "sl_price", "tp_price", "liquidation_price", "net")
    return {
        "side": row["side"],
        "from_ts": ms_of(row["entry_ts"]),
        "to_ts": ms_of(row["exit_ts"]),
        "exit_reason": row["exit_reason"],
        **{name: _told(row[name], digits) for name in prices},
    }
