"""Health: what the worker says of itself, corrected by what the API sees."""

from datetime import datetime
from typing import Any, LiteralString

from pydantic import ValidationError

from apps.api.db import Connection
from apps.api.dto import LiveStateDTO, ProcessDTO
from apps.api.live_gate import live_state
from apps.api.queries.rows import iso_at, iso_of
from packages.common.config import Settings
from packages.common.types import StatusDTO

WORKER = "worker_realtime"
SILENT_AFTER_MS = 10_000  # wall time without a heartbeat after which the worker counts as gone

_PROCESSES: LiteralString = """
SELECT name, updated_at, status, (extract(epoch FROM clock_timestamp() - updated_at) * 1000)::float8 AS age_ms
FROM process_status ORDER BY name
"""
_OWN: LiteralString = """
SELECT (SELECT max(c.ts) FROM instruments i CROSS JOIN LATERAL
          (SELECT ts FROM candles_1m c WHERE c.symbol = i.symbol ORDER BY ts DESC LIMIT 1) c) AS candle_ts,
       (SELECT max(f.ts) FROM instruments i CROSS JOIN LATERAL
          (SELECT ts FROM features_1m f WHERE f.symbol = i.symbol ORDER BY ts DESC LIMIT 1) f) AS feature_ts,
       (SELECT ts FROM signals ORDER BY ts DESC LIMIT 1) AS signal_ts,
       (SELECT count(*) FROM instruments WHERE in_universe) AS symbols_total,
       (SELECT count(*) FROM instruments WHERE in_universe AND status = 'active') AS symbols_tradable,
       (SELECT count(*) FROM data_gaps WHERE status = 'open') AS open_gaps,
       t.toggle, t.kill_switch
FROM trading_state t WHERE t.id = 1
"""


async def processes(conn: Connection) -> list[ProcessDTO]:
    """Heartbeats by name; the age is between this machine's clock and the one that wrote it, normally the same."""
    rows = await (await conn.execute(_PROCESSES)).fetchall()
    return [
        ProcessDTO(
            name=row["name"],
            updated_at=iso_of(row["updated_at"]),
            age_ms=row["age_ms"],
            alive=row["age_ms"] <= SILENT_AFTER_MS,
            status=row["status"],
        )
        for row in rows
    ]


async def status(conn: Connection, settings: Settings) -> StatusDTO:
    """The worker's own word while it is alive; else the newest rows, and nothing claimed to be healthy."""
    heartbeats = {process.name: process for process in await processes(conn)}
    worker = heartbeats.get(WORKER)
    if worker is not None and worker.alive:
        said = read_status(worker.status)
        if said is not None:
            return said
    own = await (await conn.execute(_OWN)).fetchone()
    return silent_status(worker, own, settings)


async def live(conn: Connection) -> LiveStateDTO | None:
    """The worker's word on live trading while it is alive; None where it does not trade an account."""
    worker = next((process for process in await processes(conn) if process.name == WORKER), None)
    try:
        return LiveStateDTO.model_validate(live_state(worker))
    except ValidationError:
        return None


def read_status(value: dict[str, Any]) -> StatusDTO | None:
    """A ``StatusDTO`` written by a worker, None when it is none."""
    try:
        return StatusDTO.model_validate(value)
    except ValidationError:
        return None


def silent_status(worker: ProcessDTO | None, own: dict[str, Any] | None, settings: Settings) -> StatusDTO:
    """Status while nobody collects: the last word for what does not age, the tables for the rest. Pure."""
    last = None if worker is None else read_status(worker.status)
    row = own or {}

    def at(name: str) -> str | None:
        when: datetime | None = row.get(name)
        return iso_at(when)

    halted = row.get("kill_switch", "RUNNING") != "RUNNING"
    return StatusDTO(
        collector_ok=False,
        userstream_ok=False,
        latest_candle_ts=at("candle_ts"),
        latest_feature_ts=at("feature_ts"),
        latest_signal_ts=at("signal_ts"),
        queue_lag={},
        latency_ms={} if worker is None else {"worker_heartbeat": worker.age_ms},
        ws_connected=dict.fromkeys(last.ws_connected, False) if last else {},
        error_rates={},
        mode="halted" if halted else row.get("toggle", "off"),
        exchange=last.exchange if last and last.exchange else settings.identity,
        clock_speed=None if settings.clock_speed == float("inf") else settings.clock_speed,
        market_ts=None,
        data_age_ms=None,
        symbols_total=row.get("symbols_total", 0),
        symbols_tradable=row.get("symbols_tradable", 0),
        symbols_fresh=0,
        kill_switch=row.get("kill_switch", "RUNNING"),
        trading_version=last.trading_version if last else 0,
        model_id=last.model_id if last else None,
        model_kind=last.model_kind if last else None,
        open_gaps=row.get("open_gaps", 0),
        missing_rate_24h=last.missing_rate_24h if last else None,
        quality_events_24h=last.quality_events_24h if last else 0,
    )
