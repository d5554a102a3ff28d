"""``perpilot soak``: a desk of its own, hours of market at full speed, kills on request, then proof."""

import json
import os
import shutil
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
import psycopg

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
    """``hours`` of market time; ``kill_every_s``: wall seconds from a recovery to the next SIGKILL of one, 0: none."""

    hours: float
    kill_every_s: float = 0.0
    victims: tuple[str, ...] = VICTIMS
    seed: int = 1
    start_s: float = _START_S


def run_soak(settings: Settings, plan: SoakPlan, environment: Mapping[str, str]) -> dict[str, Any]:
    """Start a desk in a new folder, let it run, verify, stop it. ``environment`` goes to the desk on top of ours.

    The folder is removed after a run that was ok; else it is kept, the database in it, and named in the result.
    """
    folder = Path(tempfile.mkdtemp(prefix="perpilot-soak-"))
    var, log = folder / "var", folder / "up.log"
    command = [sys.executable, "-m", "apps.cli.main", "up", "--headless"]
    env = {**os.environ, **environment, "VAR_DIR": str(var), "API_PORT": "0"}
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.STDOUT)
    kept: str | None = str(folder)
    try:
        with bar("Soak") as shown:
            result = _Soak(settings, plan, process, var, log, shown).run()
        kept = None if result["ok"] else kept
        return {**result, "kept": kept}
    except SoakError as exc:
        raise SoakError(f"{exc}; kept in {folder}") from exc
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(slots=True)
class _Soak:
    """One run that is being watched. Hours count from the first decided minute."""

    settings: Settings
    plan: SoakPlan
    process: "subprocess.Popen[bytes]"
    var: Path
    log: Path
    shown: Bar

    def run(self) -> dict[str, Any]:
        started = time.monotonic()
        first = self._first_minute()
        start_s = time.monotonic() - started
        until = first + int(self.plan.hours * HOUR_MS) - MINUTE_MS
        kills, wall_s, last = self._until(first, until)
        verdict = self._verify(first, min(until, last))
        return {
            "ok": verdict.ok,
            "market_hours": round((last - first + MINUTE_MS) / HOUR_MS, 3),
            "wall_s": round(wall_s, 2),
            "times_real_time": round((last - first) / 1e3 / wall_s, 1),
            "start_s": round(start_s, 1),
            "updates_per_minute": {"mark": self.settings.mark_updates, "kline": self.settings.kline_updates},
            "kills": kills,
            "load_average": [round(x, 2) for x in psutil.getloadavg()],
            "verified": verdict.as_json(),
        }

    def _first_minute(self) -> int:
        deadline = time.monotonic() + self.plan.start_s
        while time.monotonic() < deadline:
            self._check_alive()
            info = desk.read(self.var)
            span = self._span(info)
            if span is not None:
                return span[0]
            self.shown.show(None, info.message if info else "starting")
            time.sleep(0.1)
        raise SoakError(f"nothing was decided within {self.plan.start_s:.0f} s: {_tail(self.log)}")

    def _until(self, first: int, until: int) -> tuple[list[str], float, int]:
        """Watch, and kill as planned; returns what was killed, the wall time, and the last minute seen."""
        rng = np.random.default_rng(self.plan.seed)
        kills: list[str] = []
        wall = moved = time.monotonic()
        next_kill, recovered = wall + self.plan.kill_every_s, True
        last = first
        while last < until:
            self._check_alive()
            if self.plan.kill_every_s and recovered and time.monotonic() >= next_kill:
                victim = self.plan.victims[int(rng.integers(len(self.plan.victims)))]
                if _kill(self.var, victim):
                    kills.append(victim)
                    recovered = False  # until a minute is decided again: what is down cannot be killed
            span = self._span(desk.read(self.var))
            if span is not None and span[1] > last:
                last, moved = span[1], time.monotonic()
                if not recovered:
                    recovered, next_kill = True, moved + self.plan.kill_every_s
            elif time.monotonic() - moved > _STALL_S:
                raise SoakError(f"no minute was decided for {_STALL_S:.0f} s; {_tail(self.log)}")
            self.shown.show(
                min(1.0, (last - first) / max(1, until - first)), f"{(last - first) / HOUR_MS:.1f} h of market"
            )
            time.sleep(0.1)
        return kills, time.monotonic() - wall, last

    def _verify(self, first: int, last: int) -> Verdict:
        for attempt in range(60):
            info = desk.read(self.var)
            try:
                assert info is not None
                with connect(info.database_url, autocommit=True, timeout_s=5) as conn:
                    return verify(
                        conn, first, last, progress=lambda share, note: self.shown.show(share, f"verifying {note}")
                    )
            except (PlatformError, psycopg.Error) as exc:
                if attempt == 59:
                    raise SoakError(f"the database does not answer: {exc}") from exc
                time.sleep(1.0)
        raise SoakError("the database does not answer")

    def _check_alive(self) -> None:
        if self.process.poll() is not None:
            raise SoakError(f"the desk ended early: {_tail(self.log)}")

    @staticmethod
    def _span(info: desk.DeskInfo | None) -> tuple[int, int] | None:
        """First and last decided minute; None before the first, and while the database is down."""
        if info is None or not info.database_url:
            return None
        try:
            with connect(info.database_url, autocommit=True, timeout_s=3) as conn:
                return decided_span(conn)
        except (PlatformError, psycopg.Error):
            return None


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
    say("ok" if result["ok"] else f"NOT OK: {verified['first_difference'] or 'see --json'}; kept in {result['kept']}")
