"""``perpilot doctor``: what ``status`` looks at, the machine, and what to do about what is not well."""

import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from apps.cli import desk, health
from apps.cli.build_web import find_node, is_built
from apps.cli.ports import is_free
from apps.cli.postgres import find_binaries
from apps.cli.privilege import unprivileged
from apps.cli.redis_server import find_binary
from packages.common.config import Settings, load_settings
from packages.common.errors import PlatformError

_ADVICE = {
    "processes": "`perpilot up` starts the desk; a process that is down says why in its log",
    "bus": "the supervisor restarts Redis; see the log of redis under VAR_DIR/logs",
    "database": "the supervisor restarts PostgreSQL; see the log of postgres under VAR_DIR/logs",
    "exchange_clock": "worker_realtime does not report: see its log",
    "candles": "the collector lags or a stream is silent: see the log of worker_realtime",
    "signals": "no model yet (`perpilot jobs list`), or the worker lags: see its log",
    "gaps": "open gaps are repaired from REST; those that stay open are listed in data_gaps",
    "watchdog": "`perpilot up` starts it anew; what it alarms of or did is in VAR_DIR/run/watchdog.json and its log",
    "journal": "it does not read: nothing is entered; the trader's log says how to go on with what still reads",
    "live": "`perpilot trading gate` lists what is not met; a position without a stop is the trader's first work",
    "settings": "compare .env with .env.example",
    "disk": "free some space, or move VAR_DIR",
    "python": "install Python 3.11 or newer and run `make setup PYTHON=python3.12`",
    "postgres_binaries": "run `make setup`, or set DATABASE_URL",
    "redis_binary": "run `make setup`, or set REDIS_URL",
    "web": "run `make setup`",
    "port": "end the program that holds it, or set API_PORT",
}


def examine() -> dict[str, Any]:
    """One object with ``ok``, each part with figures, and ``advice`` on those that are not well."""
    machine: dict[str, health.Part] = {"python": _python()}
    try:
        settings = load_settings()
        machine["settings"] = {"ok": True, "env_file": Path(".env").exists()}
    except PlatformError as exc:
        machine["settings"] = {"ok": False, "error": str(exc)}
        return _with_advice({"ok": False, **machine})
    running = desk.read(settings.var_dir.resolve())
    machine |= {
        "disk": _disk(settings),
        "postgres_binaries": _guarded(lambda: _postgres(settings)),
        "redis_binary": _guarded(
            lambda: {"ok": True, "path": (settings.redis_url and "REDIS_URL") or str(find_binary())}
        ),
        "web": {"ok": is_built(), "built": is_built(), "node": find_node()},
        "port": _port(settings, running),
    }
    found = health.collect(settings, running)
    ok = found["ok"] and all(part["ok"] for part in machine.values())
    return _with_advice({**found, "ok": ok, **machine})


def _with_advice(found: dict[str, Any]) -> dict[str, Any]:
    bad = [name for name, part in found.items() if isinstance(part, dict) and part.get("ok") is False]
    return found | {"advice": [f"{name}: {_ADVICE[name]}" for name in bad if name in _ADVICE]}


def _guarded(look: Any) -> health.Part:
    try:
        part: health.Part = look()
    except PlatformError as exc:
        return {"ok": False, "error": str(exc)}
    return part


def _python() -> health.Part:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"ok": sys.version_info >= (3, 11), "version": platform.python_version(), "cores": cores}


def _disk(settings: Settings) -> health.Part:
    folder = settings.var_dir.resolve()
    while not folder.exists():
        folder = folder.parent
    free_mb = shutil.disk_usage(folder).free / 2**20
    return {"ok": free_mb >= 500, "free_mb": round(free_mb), "folder": str(settings.var_dir.resolve())}


def _postgres(settings: Settings) -> health.Part:
    if settings.database_url:
        return {"ok": True, "path": "DATABASE_URL"}
    folder = find_binaries()
    return {"ok": True, "path": str(folder), "way": unprivileged(folder / "postgres").way}


def _port(settings: Settings, running: desk.DeskInfo | None) -> health.Part:
    if running is not None and running.alive():
        return {"ok": True, "api_port": running.api_port, "used_by": "this desk"}
    free = is_free(settings.api_port, settings.api_host)
    movable = "api_port" not in settings.model_fields_set
    return {"ok": free or movable, "api_port": settings.api_port, "free": free, "moves_by_itself": movable}
