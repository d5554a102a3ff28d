"""The built desk in a real Chromium, over the real API and a database with a little of everything.

``apps/web/scripts/check-short.mjs`` walks it once; each test is a part of that walk. Where there is no Chromium, or
where the pages were not built, all of it is skipped. The long walk, of a desk that trades: ``make browser``.
"""

import asyncio
import os
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from apps.api.auth.policy import Role
from apps.api.tests.browser import user
from apps.api.tests.conftest import fresh_database
from apps.api.tests.running import running, settings_for
from apps.api.tests.seed import NEWEST, heartbeat
from apps.cli.build_web import WEB, find_node
from packages.common.types import StatusDTO

PARTS = [
    "sign in",
    "pages",
    "telephone",
    "range",
    "roles",
    "second factor",
    "promotion and rollback",
    "sign out",
    "no complaint of a browser",
]
NODE = find_node() or shutil.which("node") or "node"


def missing():
    """Why there is nothing to walk, or None."""
    if not (WEB / "out" / "index.html").exists() or not (WEB / "node_modules").exists():
        return "the pages are not built: make web"
    found = subprocess.run([NODE, "scripts/browser.mjs"], cwd=WEB, capture_output=True, check=False)
    return None if found.returncode == 0 else "no Chromium on this machine: make chromium"


WHY_NOT = missing()
pytestmark = [
    pytest.mark.integration,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(900),  # a busy machine is no failure
    pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "there is one"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def walked(postgres_server, redis_server):
    """What the walk said, part by part; all of its output where it failed."""
    url = fresh_database(postgres_server, seeded=True)
    newest = NEWEST.isoformat().replace("+00:00", "Z")
    said = StatusDTO(
        collector_ok=True,
        userstream_ok=False,
        latest_candle_ts=newest,
        latest_feature_ts=newest,
        latest_signal_ts=newest,
        queue_lag={},
        latency_ms={},
        mode="shadow",
        market_ts=(NEWEST + timedelta(minutes=1)).isoformat().replace("+00:00", "Z"),
        data_age_ms=0.0,
        symbols_total=3,
        symbols_tradable=3,
        symbols_fresh=3,
    )
    heartbeat(url, said.model_dump(), age_s=-600.0)
    async with running(settings_for(url, redis_server.url), web_out=WEB / "out", role=None) as server:
        link = f"{server.base}/login#link={await user(server, 'boss', Role.ADMIN)}"
        walk = await asyncio.create_subprocess_exec(
            NODE,
            "scripts/check-short.mjs",
            link,
            cwd=Path(WEB),
            env=os.environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await walk.communicate()
    return out.decode(), walk.returncode


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("part", PARTS)
async def test_the_walk_passes(walked, part):
    said, _ = walked
    assert f"ok  {part}\n" in said, said


@pytest.mark.asyncio(loop_scope="module")
async def test_the_walk_ends_well(walked):
    said, code = walked
    assert code == 0, said
