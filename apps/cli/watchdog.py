"""The watchdog's process (execution.md 19): started by ``up``, in no supervisor's hands, so that it outlives them all.

It ends when there is nothing left to watch: ``down`` and Ctrl-C end it when the account is flat, or when the exchange
was an emulator of ours and is gone too; with positions open it stays, until the next ``up`` replaces it or
``down --leave-positions`` ends it.
"""

import contextlib
import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from apps.cli.child import Child, Spec
from apps.cli.desk import find_process
from packages.common.time import wall_ms
from services.execution.journal import JournalError, JournalMissingError, read_state

_STOP_S = 10.0


def _file(var_dir: Path) -> Path:
    return var_dir / "run" / "watchdog-process.json"


def report_of(var_dir: Path) -> dict[str, Any]:
    """What it last wrote down (``run/watchdog.json``); empty when it never did."""
    return _read(var_dir / "run" / "watchdog.json")


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def running(var_dir: Path) -> psutil.Process | None:
    """The watchdog of this folder, None when it is gone."""
    found = _read(_file(var_dir))
    return find_process(found.get("pid"), found.get("create_time", 0.0))


def start(var_dir: Path, environment: Mapping[str, str]) -> Child:
    """Start it in place of an earlier one: addresses and keys may have changed. Raises OSError."""
    stop(var_dir)
    child = Child(Spec("watchdog", lambda: [sys.executable, "-m", "apps.watchdog"], environment), var_dir / "logs")
    child.start()
    assert child.process is not None
    target = _file(var_dir)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")
    temporary.write_text(json.dumps({"pid": child.process.pid, "create_time": child.create_time}))
    temporary.replace(target)
    return child


def stop(var_dir: Path) -> bool:
    """End it; whether there was one."""
    process = running(var_dir)
    if process is not None:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_S)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(_STOP_S)
    _file(var_dir).unlink(missing_ok=True)
    return process is not None


def open_symbols(var_dir: Path) -> list[str] | None:
    """Symbols with a plan, an exit wanted or a position as the watchdog last saw it; None: it cannot be known."""
    try:
        state = read_state(var_dir / "execution" / "journal.ndjson")
    except JournalMissingError:
        state = None
    except JournalError:
        return None
    planned = () if state is None else (*state.open, *state.exits)
    return sorted({*planned, *report_of(var_dir).get("positions", {})})


def end_if_idle(var_dir: Path, *, exchange_gone: bool, leave_positions: bool = False) -> str | None:
    """End it unless somebody needs it still; a line for the user, None when there was none."""
    process = running(var_dir)
    if process is None:
        return None
    held = open_symbols(var_dir)
    if not (exchange_gone or leave_positions or held == []):
        what = "what is open cannot be read" if held is None else f"open: {', '.join(held)}"
        return f"The watchdog goes on as process {process.pid} ({what}); `perpilot down --leave-positions` ends it too."
    stop(var_dir)
    return "The watchdog has ended" + (
        f"; left with their stops: {', '.join(held)}." if held and leave_positions else "."
    )


def state(var_dir: Path) -> dict[str, Any]:
    """For ``status``: whether it runs, when it last saw the exchange, what it alarms of and what it did."""
    process, report = running(var_dir), report_of(var_dir)
    age = None if report.get("checked_ts_ms") is None else wall_ms() - report["checked_ts_ms"]
    alarms = [f"{row['alarm']} {row['symbol']}".strip() for row in report.get("alarms", [])]
    return {
        "ok": process is not None and age is not None and age <= 60_000 and not alarms,
        "process": {"running": process is not None},
        "pid": process.pid if process is not None else None,
        "checked_age_ms": age,
        "alarms": alarms,
        "actions": len(report.get("actions", [])),
    }
