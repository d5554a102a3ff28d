"""What is running and how fresh it is: the figures behind ``status``, ``doctor`` and the end of ``up``.

A part is ``{"ok": bool, …figures}``; a part that cannot be looked at says why in ``error``.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import redis

from apps.cli import watchdog
from apps.cli.desk import DeskInfo
from packages.common.config import Settings
from packages.common.db import connect
from packages.common.errors import PlatformError
from packages.common.time import MINUTE_MS, iso, wall_ms
from services.execution.journal import JournalMissingError, read_state

Part = dict[str, Any]
HEARTBEAT_MS = 15_000
_AT_FULL_SPEED_MS = 30 * MINUTE_MS  # when the market has no pace of its own, freshness can only be a distance in bars


def allowed_age_ms(settings: Settings) -> float:
    """Market milliseconds a signal may lag behind the market and still be called fresh.

    ``STALE_AFTER_MS``, and the market time that passes while rows wait for two flushes and heartbeats for their turn.
    """
    if settings.clock_speed == float("inf"):
        return _AT_FULL_SPEED_MS
    return settings.stale_after_ms + (2 * settings.flush_interval_ms + 2_000) * settings.clock_speed


def collect(settings: Settings, desk: DeskInfo | None) -> dict[str, Any]:
    """One object with ``ok`` and each part with its figures."""
    parts: dict[str, Part] = {"processes": _processes(desk)}
    var_dir = settings.var_dir.resolve()
    traded = desk is not None and desk.mode == "live"
    if traded or watchdog.running(var_dir) is not None:  # it outlives the desk
        parts["watchdog"] = watchdog.state(var_dir)
        parts["journal"] = _guarded(lambda: _journal(var_dir))
    parts["bus"] = _guarded(lambda: _bus(desk))
    database_url = desk.database_url if desk else settings.database_url
    if not database_url:
        parts["database"] = {"ok": False, "error": "no desk runs and DATABASE_URL is not set"}
    else:
        try:
            with connect(database_url, autocommit=True, timeout_s=3) as conn:
                parts["database"] = _guarded(lambda: _database(conn))
                parts["exchange_clock"] = _guarded(lambda: _exchange_clock(conn))
                market_ts = parts["exchange_clock"].get("market_ts_ms")
                parts["candles"] = _guarded(lambda: _candles(conn, settings, market_ts))
                parts["signals"] = _guarded(lambda: _signals(conn, settings, market_ts))
                parts["gaps"] = _guarded(lambda: _gaps(conn))
                parts["trading"] = _guarded(lambda: _trading(conn))
                if traded:
                    parts["live"] = _guarded(lambda: _live(conn))
                parts["jobs"] = _guarded(lambda: _jobs(conn))
        except PlatformError as exc:
            parts["database"] = {"ok": False, "error": str(exc)}
    return {
        "ok": all(part["ok"] for part in parts.values()) and "signals" in parts,
        "phase": desk.phase if desk and desk.alive() else "down",
        "message": desk.message if desk else "no desk runs here",
        "url": desk.url if desk else None,
        "exchange": desk.exchange if desk else settings.exchange,
        "identity": desk.identity if desk else settings.identity,
        "clock_speed": None if settings.clock_speed == float("inf") else settings.clock_speed,
        "var_dir": str(settings.var_dir.resolve()),
        **parts,
    }


def _guarded(look: Callable[[], Part]) -> Part:
    try:
        return look()
    except (psycopg.Error, redis.RedisError, OSError, PlatformError) as exc:
        return {"ok": False, "error": (str(exc).strip().splitlines() or [type(exc).__name__])[0]}


def _processes(desk: DeskInfo | None) -> Part:
    if desk is None:
        return {"ok": False, "error": "no desk runs here"}
    found = {}
    for child in desk.children:
        process = child.process()
        found[child.name] = {
            "running": process is not None,
            "pid": child.pid if process else None,
            "restarts": child.restarts,
            "memory_mb": round(process.memory_info().rss / 2**20) if process else 0,
            "log": child.log,
        }
    alive = desk.alive()
    return {
        "ok": alive and bool(found) and all(child["running"] for child in found.values()),
        "supervisor": {"running": alive, "pid": desk.pid},
        "children": found,
    }


def _bus(desk: DeskInfo | None) -> Part:
    if desk is None:
        return {"ok": False, "error": "no desk runs here"}
    with redis.Redis.from_url(desk.redis_url, socket_connect_timeout=2, socket_timeout=2) as client:
        client.ping()
        memory = client.info("memory")["used_memory"]
        streams = {}
        for name in ("signal_updates", "status_updates", "commands"):
            streams[name] = client.xlen(name)
    return {"ok": True, "memory_mb": round(memory / 2**20, 1), "streams": streams}


def _database(conn: psycopg.Connection[Any]) -> Part:
    row = conn.execute("SELECT current_setting('server_version'), pg_database_size(current_database())").fetchone()
    revision = conn.execute("SELECT version_num FROM alembic_version").fetchone()
    assert row is not None
    return {"ok": True, "version": row[0], "size_mb": round(row[1] / 2**20, 1), "schema": revision and revision[0]}


def _exchange_clock(conn: psycopg.Connection[Any]) -> Part:
    row = conn.execute("SELECT updated_at, status FROM process_status WHERE name = 'worker_realtime'").fetchone()
    if row is None:
        return {"ok": False, "error": "worker_realtime has not reported yet"}
    market = read_ts(row[1].get("market_ts"))
    age = wall_ms() - round(row[0].timestamp() * 1e3)
    return {
        "ok": market is not None and age <= HEARTBEAT_MS,
        "market_ts": None if market is None else iso(market),
        "market_ts_ms": market,
        "heartbeat_age_ms": age,
    }


def read_ts(value: object) -> int | None:
    """Epoch milliseconds of what a heartbeat carries: a number or an ISO time."""
    if isinstance(value, int | float):
        return int(value)
    if isinstance(value, str):
        return round(datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp() * 1e3)
    return None


_NEWEST = """
SELECT i.symbol, (extract(epoch FROM n.ts) * 1000)::bigint
FROM instruments i LEFT JOIN LATERAL (
  SELECT ts FROM {table} t WHERE t.symbol = i.symbol ORDER BY ts DESC LIMIT 1) n ON TRUE
WHERE i.in_universe AND i.status = 'active' ORDER BY i.universe_rank, i.symbol
"""


def _freshness(rows: list[tuple[str, int | None]], settings: Settings, market_ts: int | None) -> Part:
    """A bar of ``ts`` is known at ``ts + 60 s`` (D1): its age counts from there."""
    allowed = allowed_age_ms(settings)
    ages = {symbol: None if ts is None or market_ts is None else market_ts - ts - MINUTE_MS for symbol, ts in rows}
    fresh = [symbol for symbol, age in ages.items() if age is not None and age <= allowed]
    newest = max((ts for _, ts in rows if ts is not None), default=None)
    known = [age for age in ages.values() if age is not None]
    return {
        "ok": bool(rows) and len(fresh) == len(rows),
        "tradable": len(rows),
        "fresh": len(fresh),
        "newest_ts": None if newest is None else iso(newest),
        "oldest_age_ms": max(known, default=None),
        "allowed_age_ms": allowed,
        "not_fresh": [symbol for symbol in ages if symbol not in fresh],
    }


def _candles(conn: psycopg.Connection[Any], settings: Settings, market_ts: int | None) -> Part:
    return _freshness(conn.execute(_NEWEST.format(table="candles_1m")).fetchall(), settings, market_ts)


def _signals(conn: psycopg.Connection[Any], settings: Settings, market_ts: int | None) -> Part:
    part = _freshness(conn.execute(_NEWEST.format(table="signals")).fetchall(), settings, market_ts)
    universe = conn.execute("SELECT count(*) FROM instruments WHERE in_universe").fetchone()
    return part | {"symbols": universe[0] if universe else 0}


def _gaps(conn: psycopg.Connection[Any]) -> Part:
    counts = dict(conn.execute("SELECT status, count(*) FROM data_gaps GROUP BY 1").fetchall())
    events = conn.execute("SELECT count(*) FROM quality_events WHERE ts > now() - interval '1 day'").fetchone()
    by_status = {status: int(counts.get(status, 0)) for status in ("open", "repaired", "unavailable")}
    return {"ok": by_status["open"] == 0, **by_status, "quality_events_24h": events[0] if events else 0}


def _trading(conn: psycopg.Connection[Any]) -> Part:
    row = conn.execute("SELECT toggle, kill_switch, reason, version FROM trading_state").fetchone()
    pointers = dict(conn.execute("SELECT kind, model_id::text FROM model_pointers").fetchall())
    assert row is not None
    return {
        "ok": True,
        "toggle": row[0],
        "kill_switch": row[1],
        "reason": row[2],
        "version": row[3],
        "models": pointers,
    }


def _live(conn: psycopg.Connection[Any]) -> Part:
    """The worker's word on the account. A halt is no fault of the desk; a position without a stop is."""
    row = conn.execute(
        "SELECT updated_at, status->'live' FROM process_status WHERE name = 'worker_realtime'"
    ).fetchone()
    if row is None or row[1] is None:
        return {"ok": False, "error": "worker_realtime does not say: it is recovering, or gone"}
    live, age = row[1], wall_ms() - round(row[0].timestamp() * 1e3)
    naked = live["naked_ms"] or {}
    return {
        "ok": age <= HEARTBEAT_MS
        and bool(live["ready"] and live["stream_up"] and live["stop_path_proven"])
        and not live["unprotected"],
        "heartbeat_age_ms": age,
        "latch": live["latch"],
        "code": live["latch_code"] or None,
        "positions": live["positions"],
        "unprotected": live["unprotected"],
        "paused": live["paused"],
        "entries_unknown": live["entries_unknown"],
        "user_stream": "up" if live["stream_up"] else "DOWN",
        "stop_path": "proven" if live["stop_path_proven"] else "NOT PROVEN",
        "proofs": live["proofs"],
        "naked_ms": naked,
        "blocks": [f"{block['code']} {block['symbol'] or ''}".strip() for block in live["blocks"]],
    }


def _journal(var_dir: Path) -> Part:
    """The write-ahead log as it is on disk."""
    try:
        state = read_state(var_dir / "execution" / "journal.ndjson")
    except JournalMissingError:
        return {"ok": True, "latch": "none yet"}
    return {
        "ok": True,
        "instance": state.instance,
        "latch": state.latch.value.upper(),
        "code": state.latch_code or None,
        "open": sorted(state.open),
        "exits_wanted": sorted(state.exits),
    }


def _jobs(conn: psycopg.Connection[Any]) -> Part:
    counts = dict(conn.execute("SELECT status, count(*) FROM jobs GROUP BY 1").fetchall())
    return {"ok": True, **{k: int(v) for k, v in counts.items()}}


def signals_fresh(settings: Settings, database_url: str, *, since_ms: int = 0) -> tuple[bool, str]:
    """Whether every tradable symbol has a fresh signal, and a note such as ``12 of 28``.

    ``since_ms`` (wall): heartbeats before it are of an earlier run and say nothing.
    """
    try:
        with connect(database_url, autocommit=True, timeout_s=3) as conn:
            clock = _exchange_clock(conn)
            if clock.get("heartbeat_age_ms", 0) > wall_ms() - since_ms:
                return False, "worker_realtime is recovering"
            part = _signals(conn, settings, clock.get("market_ts_ms"))
    except (psycopg.Error, PlatformError) as exc:
        return False, str(exc).splitlines()[0]
    return bool(part["ok"] and clock["ok"]), f"{part['fresh']} of {part['tradable']}"
