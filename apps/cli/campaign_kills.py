"""SIGKILL of the live trader at random moments: each restart must converge, and nothing be naked, doubled or lost.

A sitting is a campaign of its own, on an exchange of its own that goes on meanwhile; what sittings of a seed have found
adds up in ``VAR_DIR/campaign/kills-<seed>.json``. Of a sitting in which a claim did not hold, everything is kept in
``VAR_DIR/campaign/kills-<seed>-<its first kill>``: the trader's rows, journal and log, and the exchange's audit. The
trader is the whole victim here; killing the worker, Redis or Postgres around it is ``campaign_desk``'s.
"""

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps.cli.campaign import SPEED, SYMBOLS, CampaignError, exchange
from apps.cli.campaign_books import Kept, judge
from apps.cli.campaign_sittings import CONVERGED_S, Sittings
from apps.cli.campaign_trader import FLAT_S
from apps.cli.campaign_weather import steady
from apps.cli.console import Bar, bar
from packages.common.time import monotonic_ms
from services.emulator.testing import Exchange

_ROOT = Path(__file__).resolve().parents[2]
_EARLY = 0.2  # share of lives that end before they have recovered


@dataclass(frozen=True, slots=True)
class KillPlan:
    """``kills`` in this sitting; moments, entries and faults (at realistic rates) are drawn from ``seed``."""

    kills: int
    seed: int = 1
    symbols: tuple[str, ...] = SYMBOLS[:12]
    speed: float = SPEED
    lives_s: tuple[float, float] = (0.5, 8.0)  # after it has recovered


def run_kills(var_dir: Path, plan: KillPlan) -> dict[str, Any]:
    """One sitting; the result is its judgement and what all sittings of the seed add up to. ``CampaignError`` when it
    cannot go on, ``SittingsError`` when earlier ones do not read."""
    sittings = Sittings(var_dir / "campaign" / f"kills-{plan.seed}.json", plan.seed)
    with tempfile.TemporaryDirectory(prefix="perpilot-kills-") as folder, bar("Kills") as shown:
        verdict = asyncio.run(_sitting(plan, Path(folder), sittings, shown))
        if not verdict["ok"]:
            evidence = var_dir / "campaign" / f"kills-{plan.seed}-{sittings.before}"
            shutil.copytree(folder, evidence, dirs_exist_ok=True)
            verdict["evidence"] = str(evidence)
    sittings.end(ok=verdict["ok"], broken=verdict["broken"])
    return verdict | sittings.result()


async def _sitting(plan: KillPlan, folder: Path, sittings: Sittings, shown: Bar) -> dict[str, Any]:
    before = sittings.before
    rng = np.random.default_rng([plan.seed, before])
    async with exchange(plan.symbols, plan.seed, plan.speed) as market:
        for row in steady("realistic", plan.speed):
            await market.control.fault(**row)
        for kill in range(plan.kills):
            if rng.random() < _EARLY:
                async with _trader(plan, folder, market, 2 * (before + kill)):
                    await asyncio.sleep(float(rng.uniform(0.5, 4.0)))
            took_s = await _life(plan, folder, market, 2 * (before + kill) + 1, float(rng.uniform(*plan.lives_s)))
            sittings.kill("trader", took_s)
            shown.show((kill + 1) / plan.kills, f"{before + kill + 1} kills, the last converged in {took_s:.1f} s")
        await market.control.clear()
        async with _trader(plan, folder, market, 2 * (before + plan.kills)) as last:
            await _ready(last)
            last.terminate()
            await asyncio.wait_for(last.wait(), FLAT_S + 30)
        report = await market.control.audit()
    (folder / "audit.json").write_text(json.dumps(report))
    kept = Kept(folder / "rows.ndjson")
    verdict = judge(report["accounts"]["main"], kept)
    kept.close()
    return verdict


async def _life(plan: KillPlan, folder: Path, market: Exchange, number: int, lives_s: float) -> float:
    """Start, converge, trade, be killed; returns how many seconds it took to converge."""
    started = monotonic_ms()
    async with _trader(plan, folder, market, number) as process:
        await _ready(process)
        while await _naked(market):
            if monotonic_ms() - started > CONVERGED_S * 1e3:
                break
            await asyncio.sleep(0.05)
        took_s = (monotonic_ms() - started) / 1e3
        await asyncio.sleep(lives_s)
    return took_s


@asynccontextmanager
async def _trader(
    plan: KillPlan, folder: Path, market: Exchange, number: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A trader that is killed when the context ends, however it ends; it ends by itself when this process is gone, for
    nobody else has the other end of its input."""
    told = {
        "rest_url": market.rest_url, "ws_url": market.ws_url, "folder": str(folder), "seed": plan.seed,
        "life": number, "symbols": list(plan.symbols), "speed": plan.speed,
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "apps.cli.campaign_trader", json.dumps(told), stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, cwd=_ROOT,
    )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _ready(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 2 * CONVERGED_S)
    if line.strip() != b"ready":
        raise CampaignError(f"the trader ended while it started: {line!r}")


async def _naked(market: Exchange) -> Sequence[str]:
    found: Sequence[str] = (await market.control.audit(rows=False))["accounts"]["main"]["summary"]["naked_now"]
    return found
