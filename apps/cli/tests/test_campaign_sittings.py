"""What sittings of a kill campaign add up to, and whom its traders outlive."""

import asyncio
import json
import sys

import pytest

from apps.cli.campaign_sittings import Sittings, SittingsError


def test_sittings_add_up_and_an_interrupted_one_is_not_judged(tmp_path):
    path = tmp_path / "campaign" / "kills-3.json"
    first = Sittings(path, 3)
    first.kill("trader", 2.0)
    first.kill("redis", 4.0)
    first.end(ok=True, broken={})
    assert first.result()["ok"]
    Sittings(path, 3).kill("trader", 6.0)  # interrupted: there is no end
    last = Sittings(path, 3)
    assert last.before == 3
    last.kill("trader", 8.0)
    last.end(ok=True, broken={})
    assert last.result() == {
        "ok": True, "seed": 3, "kills": 4, "judged": 3, "victims": {"trader": 3, "redis": 1},
        "converged_s": {"p50": 5.0, "max": 8.0}, "late": 0, "sittings": 3,
    }  # fmt: skip


@pytest.mark.parametrize(("took_s", "ok"), [(31.0, True), (2.0, False)])
def test_one_late_kill_or_broken_claim_is_for_ever(tmp_path, took_s, ok):
    path = tmp_path / "kills-1.json"
    for seconds, well in ((took_s, ok), (2.0, True)):
        sittings = Sittings(path, 1)
        sittings.kill("trader", seconds)
        sittings.end(ok=well)
    assert not sittings.result()["ok"]


@pytest.mark.parametrize("text", ["[]", "{", json.dumps({"seed": 2, "sittings": []})])
def test_a_file_that_is_not_one_is_refused(tmp_path, text):
    path = tmp_path / "kills-1.json"
    path.write_text(text)
    with pytest.raises(SittingsError, match="move it away"):
        Sittings(path, 1)


async def test_a_trader_of_the_campaign_ends_with_whoever_started_it(tmp_path):
    told = {"rest_url": "http://127.0.0.1:1", "ws_url": "ws://127.0.0.1:1", "folder": str(tmp_path), "seed": 1,
            "life": 1, "symbols": ["BTCUSDT"], "speed": 1.0}  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "apps.cli.campaign_trader", json.dumps(told), stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    process.stdin.close()
    try:
        assert await asyncio.wait_for(process.wait(), 240) == 2
    finally:
        if process.returncode is None:
            process.kill()
