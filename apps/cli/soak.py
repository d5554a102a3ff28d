"""``perpilot soak``: a desk of its own, hours of market at full speed, kills on request, then proof."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from apps.cli import desk
from apps.cli.console import Bar, bar, say
from apps.cli.verify import Verdict, decided_span, verify
from packages.common.config import Settings
from packages.common.db import connect
from packages.common.errors import PlatformError
from packages.common.time import HOUR_MS, MINUTE_MS

VICTIMS = ("worker_realtime", "emulator", "postgres", "redis", "api", "worker_batch")
_START_S, _STOP_S, _STALL_S = 900.0, 90.0, 180.0


class SoakError(PlatformError):
    """The run could not be brought to its end."""

    code = "SOAK"


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """``hours`` of market time; ``kill_every_s`` wall seconds between SIGKILLs of ``victims`` in turn, 0 for none."""

    hours: float
    kill_every_s: float = 0.0
    victims: tuple[str, ...] = VICTIMS
    seed: int = 1
    start_s: float = _START_S


def run_soak(settings: Settings, plan: SoakPlan, environment: Mapping[str, str]) -> dict[str, Any]:
    """Start a desk in a new folder, let it run, verify, stop it. ``environment`` goes to the desk on top of ours."""
    with tempfile.TemporaryDirectory(prefix="perpilot-soak-") as folder:
        var = Path(folder) / "var"
        log = Path(folder) / "up.log"
        command = [sys.executable, "-m", "apps.cli.main", "up", "--headless"]
        env = {**os.environ, **environment, "VAR_DIR": str(var), "API_PORT": "0"}
        with log.open("wb") as out:
            process = subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.STDOUT)
        try:
            return _watch(settings, plan, process, var, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _watch(
    settings: Settings, plan: SoakPlan, process: "subprocess.Popen[bytes]", var: Path, log: Path
) -> dict[str, Any]:
    with bar("Soak") as shown:
        started = time.monotonic()
        info = _await_ok(process, var, log, plan.start_s, shown)
        start_s = time.monotonic() - started
        first = _span(info)
        until = first + int(plan.hours * HOUR_MS) - MINUTE_MS
        rng = np.random.default_rng(plan.seed)
        kills: list[str] = []
        wall, next_kill = time.monotonic(), time.monotonic() + plan.kill_every_s
        last, moved = first, wall
        while last < until:
            if process.poll() is not None:
                raise SoakError(f"the desk ended early: {_tail(log)}")
            if plan.kill_every_s and time.monotonic() >= next_kill:
                victim = plan.victims[int(rng.integers(len(plan.victims)))]
                if _kill(var, victim):
                    kills.append(victim)
                next_kill = time.monotonic() + plan.kill_every_s
            now = _span(info, last)
            if now > last:
                last, moved = now, time.monotonic()
            elif time.monotonic() - moved > _STALL_S:
                raise SoakError(f"no minute was decided for {_STALL_S:.0f} s; {_tail(log)}")
            shown.show(min(1.0, (last - first) / max(1, until - first)), f"{(last - first) / HOUR_MS:.1f} h of market")
            time.sleep(0.2)
        wall_s = time.monotonic() - wall
        verdict = _verify(info, shown)
    return {
        "ok": verdict.ok,
        "market_hours": round((last - first) / HOUR_MS, 3),
        "wall_s": round(wall_s, 2),
        "times_real_time": round((last - first) / 1e3 / wall_s, 1),
        "start_s": round(start_s, 1),
        "updates_per_minute": {"mark": settings.mark_updates, "kline": settings.kline_updates},
        "kills": kills,
        "load_average": [round(x, 2) for x in psutil.getloadavg()],
        **{"verified": verdict.as_json()},
    }


def _await_ok(process: "subprocess.Popen[bytes]", var: Path, log: Path, timeout_s: float, shown: Bar) -> desk.DeskInfo:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SoakError(f"the desk did not start: {_tail(log)}")
        info = desk.read(var)
        if info is not None and info.phase == "ok":
            return info
        shown.show(None, info.message if info else "starting")
        time.sleep(0.2)
    raise SoakError(f"the desk was not ready after {timeout_s:.0f} s: {_tail(log)}")


def _span(info: desk.DeskInfo, otherwise: int | None = None) -> int:
    """Last decided minute; while the database is down, ``otherwise``."""
    try:
        with connect(info.database_url, autocommit=True, timeout_s=3) as conn:
            span = decided_span(conn)
    except PlatformError:
        span = None
    except Exception as exc:  # a connection that dies under the query
        if otherwise is None:
            raise SoakError(f"the database does not answer: {exc}") from exc
        span = None
    if span is None:
        if otherwise is None:
            raise SoakError("nothing was decided although the desk is ready")
        return otherwise
    return span[1]


def _verify(info: desk.DeskInfo, shown: Bar) -> Verdict:
    for attempt in range(30):
        try:
            with connect(info.database_url, autocommit=True, timeout_s=5) as conn:
                conn.execute("SET default_transaction_isolation = 'repeatable read'")
                span = decided_span(conn)
                assert span is not None
                return verify(conn, *span, progress=lambda share, note: shown.show(share, f"verifying {note}"))
        except PlatformError:
            if attempt == 29:
                raise
            time.sleep(1.0)
    raise SoakError("the database does not answer")


def _kill(var: Path, victim: str) -> bool:
    info = desk.read(var)
    for child in info.children if info else ():
        found = child.process() if child.name == victim else None
        if found is not None:
            found.kill()
            return True
    return False


def _tail(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " | ".join(lines[-3:]) or "it said nothing"


def show(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the result for a person or as one JSON object."""
    if as_json:
        print(json.dumps(result, indent=2))
        return
    verified = result["verified"]
    say(
        f"{result['market_hours']} h of {verified['symbols']} symbols in {result['wall_s']} s: "
        f"{result['times_real_time']} × real time, {len(result['kills'])} kills"
    )
    say(
        f"missing candles {verified['missing_candles']}, signals {verified['missing_signals']}, "
        f"features {verified['missing_features']}; features that differ from offline {verified['different_features']}"
    )
    say("ok" if result["ok"] else f"NOT OK: {verified['first_difference'] or 'see --json'}")
