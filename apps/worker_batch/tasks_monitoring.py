"""Jobs that watch: how far the inputs of the model in use have moved (§17)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import psycopg

from apps.worker_batch.context import JobContext
from apps.worker_batch.history_sink import upsert_rows
from apps.worker_batch.market_store import newest_minute_ms
from packages.common.errors import InvalidInputError
from packages.common.history import read_columns
from packages.common.time import DAY_MS, iso, to_datetime
from services.features import schema
from services.inference import explain
from services.monitoring.drift import Drift, measure
from services.registry import registry
from services.registry.package import load_package

_KEYS = frozenset({"hours", "as_of"})


def compute_drift(context: JobContext) -> Mapping[str, Any]:
    """The last ``hours`` (24) of stored features against the training rows of the model in use → ``drift_metrics``,
    one row a symbol at the newest minute.

    ``psi`` is the mean over the inputs; the result also names the three that moved most. Without a model in use there
    is nothing to compare with, which is said and is no failure.
    """
    config = context.config
    unknown = sorted(config.keys() - _KEYS)
    if unknown:
        raise InvalidInputError("config", unknown, "hours, as_of")
    hours = config.get("hours", 24)
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= 24 * 366:
        raise InvalidInputError("hours", hours, "a number of hours, 0 < hours <= 8784")
    conn, now_ms = context.conn, newest_minute_ms(context.conn)
    pointer = registry.for_mode(conn, "shadow")
    if pointer is None or now_ms is None:
        return {"symbols": {}, "note": "no model in use yet" if pointer is None else "no stored minute yet"}
    package = load_package(pointer.artifact_uri, expected_hash=pointer.content_hash)
    start_ms = now_ms - int(hours * DAY_MS / 24)
    symbols = [row[0] for row in conn.execute("SELECT DISTINCT symbol FROM instruments ORDER BY 1").fetchall()]
    rows, found = [], {}
    for number, symbol in enumerate(symbols):
        context.progress(number / len(symbols), f"drift of {symbol}")
        inputs = _inputs(conn, symbol, start_ms)
        if not inputs.shape[0]:
            continue
        drift = measure(inputs, schema.KEYS, package.reference, symbol)
        late = conn.execute(
            """SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY late_ms) FROM signals
               WHERE symbol = %s AND ts >= %s AND model_id = %s""",
            (symbol, to_datetime(start_ms), pointer.model_id),
        ).fetchone()
        rows.append(
            {
                "symbol": symbol,
                "ts": now_ms,
                "schema_version": schema.SCHEMA_VERSION,
                "psi": drift.mean_psi,
                "missing_rate": drift.missing_rate,
                "latency_ms": late[0] if late else None,
                "outlier_rate": drift.outlier_rate,
            }
        )
        found[symbol] = {"psi": drift.mean_psi, "rows": drift.rows, "moved_most": _moved_most(drift)}
    upsert_rows(conn, "drift_metrics", rows)
    return {"model_id": pointer.model_id, "as_of": iso(now_ms), "symbols": found}


def explain_traded(context: JobContext) -> Mapping[str, Any]:
    """Contributions of the inputs for every traded row that has none yet, newest first (``signals.explain``)."""
    if unknown := sorted(context.config.keys() - {"as_of"}):
        raise InvalidInputError("config", unknown, "as_of")
    done = 0
    while found := explain.explain_traded(context.conn, 50):
        done += found
        context.progress(0.5, f"{done} rows explained")
    return {"explained": done}


def _inputs(conn: psycopg.Connection[Any], symbol: str, start_ms: int) -> Any:
    """Model inputs (n, 17) of the stored feature rows, NaN where a value is missing."""
    columns = ", ".join(f"(f.features->>'{key}')::float8 AS {key}" for key in schema.KEYS)
    query = (
        f"SELECT f.ts, {columns}, m.close AS mark_close FROM features_1m f "  # noqa: S608 - our own names
        "JOIN mark_candles_1m m ON m.symbol = f.symbol AND m.ts = f.ts "
        "WHERE f.symbol = %(symbol)s AND f.ts >= %(start)s"
    )
    names = (*schema.KEYS, "mark_close")
    read = read_columns(conn, query, {"symbol": symbol, "start": to_datetime(start_ms)}, names)
    features = np.column_stack([np.asarray(read[key], np.float64) for key in schema.KEYS])
    return schema.model_inputs(features, np.asarray(read["mark_close"], np.float64))


def _moved_most(drift: Drift, count: int = 3) -> dict[str, float]:
    finite = {key: value for key, value in drift.psi.items() if np.isfinite(value)}
    return dict(sorted(finite.items(), key=lambda item: -item[1])[:count])
