"""SIGKILL of the realtime worker, Redis or Postgres of a whole desk that trades live, at random moments.

The exchange is an emulator of ours outside the desk: its audit says what a kill did to the account. After each kill the
desk must be whole again within 30 s: the trader recovered, its stream connected, no position without a stop.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from apps.cli import desk, trading, watchdog
from apps.cli.api import Api
from apps.cli.campaign import CampaignError
from apps.cli.campaign_sittings import Sittings
from apps.cli.console import Bar, bar, say
from packages.common.db import connect
from packages.common.errors import PlatformError
from packages.common.time import wall_ms
from services.emulator.testing import Exchange, spawned

VICTIMS = ("worker_realtime", "postgres", "redis")
_GIVE_UP_S, _START_S = 120.0, 600.0
_BAD = ("naked_too_long", "naked_after_recovery", "duplicates", "stacked", "orphans")
_BEAT_S = 1.0  # a word that was on its way when its process died is younger than the kill, but not by so much
_UNIVERSE = "BTCUSDT,ETHUSDT,XRPUSDT,SOLUSDT,DOGEUSDT,LINKUSDT,SUIUSDT,PUMPUSDT"
_MARKET = {"SPEED": "20", "UNIVERSE": _UNIVERSE, "HISTORY_DAYS": "8", "PLANTED_ALPHA": "0.02", "MARK_UPDATES": "30"}


@dataclass(frozen=True, slots=True)
class DeskKillPlan:
    """``kills`` of one of ``victims`` each, drawn from ``seed``; ``rest_s``: between a recovery and the next kill."""

    kills: int
    seed: int = 1
    victims: tuple[str, ...] = VICTIMS
    rest_s: tuple[float, float] = (1.0, 12.0)


def run_desk_kills(var_dir: Path, plan: DeskKillPlan) -> dict[str, Any]:
    """One sitting: bring up a desk and its exchange in a new folder, kill as planned, judge by the exchange. Sittings
    of a seed add up in ``VAR_DIR/campaign``; the result is that of all of them.

    Raises ``CampaignError`` when it cannot be brought to its end, ``SittingsError`` when earlier ones do not read.
    """
    sittings = Sittings(var_dir / "campaign" / f"desk-kills-{plan.seed}.json", plan.seed)
    with tempfile.TemporaryDirectory(prefix="perpilot-desk-kills-") as folder, bar("Kills") as shown:
        verdict = asyncio.run(_run(plan, Path(folder), sittings, shown))
    sittings.end(**verdict)
    return verdict | sittings.result()


def show(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the result for a person or as one JSON object."""
    if as_json:
        print(json.dumps(result, indent=2))
        return
    say(", ".join(f"{name} {count}" for name, count in sorted(result["victims"].items())) + " killed")
    say(", ".join(f"{name.replace('_', ' ')} {result[name]}" for name in ("converged_s", "late", "entries", *_BAD)))
    say(f"{result['kills']} kills in {result['sittings']} sittings: " + ("ok" if result["ok"] else "NOT OK"))


async def _run(plan: DeskKillPlan, folder: Path, sittings: Sittings, shown: Bar) -> dict[str, Any]:
    options = ["--speed", "20", "--universe", _UNIVERSE, "--history-days", "8", "--planted-alpha", "0.02"]
    options += ["--mark-updates", "30", "--kline-updates", "12", "--var-dir", str(folder / "exchange")]
    async with spawned(*options) as exchange:
        var, log = folder / "var", folder / "up.log"
        env = {**os.environ, **_MARKET, **exchange.environment(), "KLINE_UPDATES": "12", "MODE": "live"}
        env |= {"VAR_DIR": str(var), "API_PORT": "0"}
        with log.open("wb") as out:
            process = subprocess.Popen(  # noqa: ASYNC220 - starting a process takes milliseconds
                [sys.executable, "-m", "apps.cli.main", "up", "--headless"], env=env, stdout=out, stderr=out
            )
        try:
            watched = _Desk(process, var, log, shown)
            await watched.start()
            return await _kill_and_judge(plan, sittings, watched, exchange, shown)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, 90)
            if process.poll() is None:
                process.kill()
            watchdog.stop(var)  # it would stay for the positions that are left


async def _kill_and_judge(
    plan: DeskKillPlan, sittings: Sittings, watched: "_Desk", exchange: Exchange, shown: Bar
) -> dict[str, Any]:
    rng = np.random.default_rng([plan.seed, sittings.before])
    naked_after: list[str] = []
    for n in range(plan.kills):
        await asyncio.sleep(rng.uniform(*plan.rest_s))
        victim = plan.victims[int(rng.integers(len(plan.victims)))]
        shown.show(n / plan.kills, f"kill {n + 1} of {plan.kills}: {victim}")
        watched.kill(victim)
        sittings.kill(victim, await watched.whole_again())
        await watched.running()
        summary = (await exchange.control.audit(rows=False))["accounts"]["main"]["summary"]
        naked_after += summary["naked_now"]
    account = (await exchange.control.audit())["accounts"]["main"]
    summary = account["summary"]
    long = [row for row in account["naked"] if row["end"] and row["to_wall_ms"] - row["from_wall_ms"] > 1_000]
    result = {
        "entries": summary["entries"],
        "episodes": summary["episodes"],
        "naked_wall_ms": summary["naked_wall_ms"],
        "naked_too_long": long,
        "naked_after_recovery": sorted(set(naked_after)),
        "duplicates": summary["duplicates"],
        "stacked": summary["stacked"],
        "orphans": summary["orphans"],
        "latch": watched.live().get("latch"),
        "load_average": [round(x, 2) for x in os.getloadavg()],
    }
    return {"ok": not any(result[name] for name in _BAD), **result}


@dataclass(slots=True)
class _Desk:
    """The desk that is being killed, seen through its tables."""

    process: "subprocess.Popen[bytes]"
    var: Path
    log: Path
    shown: Bar

    async def start(self) -> None:
        """Until live trading has recovered, then switch it on through the API and its gates."""
        end = time.monotonic() + _START_S
        while not self.live().get("ready") or not self.live().get("stop_path_proven"):
            info = desk.read(self.var)
            self.shown.show(None, info.message if info else "starting")
            self._check(end)
            await asyncio.sleep(0.5)
        while (refused := await asyncio.to_thread(self._go_live)) is not None:
            self.shown.show(None, refused)
            self._check(end, refused)
            await asyncio.sleep(2.0)
        while not self.live().get("locked"):  # the first entry, or there is nothing to lose
            self._check(end, "no entry was made")
            await asyncio.sleep(0.5)

    def kill(self, victim: str) -> None:
        """SIGKILL one child of the desk."""
        info = desk.read(self.var)
        for child in info.children if info else ():
            found = child.process() if child.name == victim else None
            if found is not None:
                found.kill()
                return
        raise CampaignError(f"{victim} is not running")

    async def whole_again(self) -> float:
        """Seconds until the trader says that it has recovered, in a word that is younger than the kill."""
        started, killed_at = time.monotonic(), wall_ms() / 1e3
        while True:
            live = self.live(since=killed_at + _BEAT_S)
            if live.get("ready") and live.get("stream_up") and not live.get("blocks"):
                return time.monotonic() - started
            self._check(started + _GIVE_UP_S, "it did not recover")
            await asyncio.sleep(0.2)

    async def running(self) -> None:
        """Until every process runs. The trader may be whole before that: it waits for nobody who only shows."""
        end = time.monotonic() + _GIVE_UP_S
        while True:
            info = desk.read(self.var)
            down = [child.name for child in info.children if child.process() is None] if info else ["everything"]
            if not down:
                return
            self._check(end, f"{', '.join(down)} did not come back")
            await asyncio.sleep(0.2)

    def live(self, since: float = 0.0) -> Mapping[str, Any]:
        """What the worker has said of live trading since then (epoch seconds); empty while it has said nothing."""
        info = desk.read(self.var)
        if info is None or not info.database_url:
            return {}
        query = (
            "SELECT status->'live' FROM process_status WHERE name = 'worker_realtime' AND updated_at > to_timestamp(%s)"
        )
        try:
            with connect(info.database_url, autocommit=True, timeout_s=3) as conn:
                row = conn.execute(query, (since,)).fetchone()
        except (PlatformError, psycopg.Error):
            return {}
        return row[0] or {} if row else {}

    def _go_live(self) -> str | None:
        info = desk.read(self.var)
        if info is None:
            return "no desk"
        try:
            trading.toggle(Api(info.url, self.var), "live", "campaign", "LIVE")
        except PlatformError as exc:
            return str(exc)
        return None

    def _check(self, end: float, why: str = "it did not come up") -> None:
        if self.process.poll() is not None or time.monotonic() > end:
            lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
            raise CampaignError(f"{why}: {' | '.join(lines[-3:])}")
