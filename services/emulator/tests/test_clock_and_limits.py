import asyncio
import math

import orjson
import pytest

from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, wall_ms
from services.emulator.clock import CATCH_UP_WALL_MS, ClockFile, MarketClock, first_position
from services.emulator.config import EmulatorConfig, from_settings
from services.emulator.faults import Fault, Faults, Kind
from services.emulator.limits import BAN_MS, PATIENCE, Caller, Window, depth_weight, kline_weight

NOW = 1_771_718_400_000


def saved(path, market_ms, away_ms, identity="me"):
    path.write_bytes(orjson.dumps({"identity": identity, "market_ms": market_ms, "wall_ms": wall_ms() - away_ms}))


def test_a_short_stop_is_part_of_the_market(tmp_path):
    path = tmp_path / "clock.json"
    saved(path, NOW, 10_000)
    gone = ClockFile(path, "me").load(60.0) - NOW
    assert 600_000 <= gone < 600_000 + 60 * 60_000


def test_after_a_long_stop_the_market_resumes_where_it_stood(tmp_path):
    path = tmp_path / "clock.json"
    saved(path, NOW, CATCH_UP_WALL_MS + 1_000)
    assert ClockFile(path, "me").load(60.0) == NOW


def test_a_free_clock_resumes_where_it_stood(tmp_path):
    path = tmp_path / "clock.json"
    saved(path, NOW, 10_000)
    assert ClockFile(path, "me").load(math.inf) == NOW


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"identity": "me"}', None])
def test_a_damaged_or_missing_file_starts_anew(tmp_path, content):
    path = tmp_path / "clock.json"
    if content is not None:
        path.write_bytes(content)
    assert ClockFile(path, "me").load(60.0) is None


def test_a_position_of_another_market_is_not_taken_over(tmp_path):
    path = tmp_path / "clock.json"
    saved(path, NOW, 0, "other")
    assert ClockFile(path, "me").load(60.0) is None


def test_saving_leaves_a_whole_file(tmp_path):
    file = ClockFile(tmp_path / "new" / "clock.json", "me")
    file.save(NOW)
    assert file.load(math.inf) == NOW
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["clock.json"]


async def test_a_running_clock_runs_at_its_speed_and_stops_at_the_end():
    clock = MarketClock(NOW, 60.0, NOW + 3_600_000)  # a minute of ours
    await clock.sleep(1_200)
    assert NOW + 1_200 <= clock.now_ms() < NOW + 3_600_000
    assert not clock.ended()
    clock = MarketClock(NOW, 1000.0, NOW + 20_000)
    await asyncio.sleep(0.03)
    assert clock.now_ms() == NOW + 20_000
    assert clock.ended()


async def test_a_free_clock_moves_when_moved():
    clock = MarketClock(NOW, math.inf)
    sleeping = asyncio.create_task(clock.sleep(60_000))
    await asyncio.sleep(0.02)
    assert clock.now_ms() == NOW
    assert not sleeping.done()
    clock.advance_to(NOW + 60_000)
    clock.advance_to(NOW)  # never back
    await asyncio.wait_for(sleeping, 60)
    assert clock.now_ms() == NOW + 60_000


def test_a_short_recording_gives_two_thirds_as_history():
    assert first_position(0, None, 20) == 20 * DAY_MS
    assert first_position(0, 30 * DAY_MS, 20) == 20 * DAY_MS
    assert first_position(0, 15 * DAY_MS, 20) == 10 * DAY_MS


def test_weights_follow_the_table():
    assert [kline_weight(n) for n in (1, 99, 100, 499, 500, 1000, 1001, 1500)] == [1, 1, 2, 2, 5, 5, 10, 10]
    assert [depth_weight(n) for n in (5, 50, 100, 500, 1000)] == [2, 2, 5, 10, 20]


def test_a_window_is_a_market_minute_and_counts_refused_calls_too():
    window = Window(10)
    assert window.take(10, 59_999)
    assert not window.take(1, 59_999)
    assert window.used == 11
    assert window.take(10, 60_000)
    assert window.left_ms(60_000) == 60_000


def test_insisting_after_a_refusal_is_banned_until_the_ban_ends():
    caller = Caller(Window(1))
    answers = [caller.refuse(1_000.0) for _ in range(PATIENCE + 1)]
    assert answers == [False] * PATIENCE + [True]
    assert caller.banned_until_ms == 1_000.0 + BAN_MS
    patient = Caller(Window(1))
    assert not any(patient.refuse(60_000.0 * minute) for minute in range(30))


def test_faults_repeat_with_their_seed():
    plan = [Fault(Kind.MISSING_CLOSE, 0, 10_000_000, share=0.3)]
    first = [Faults(5, plan).close_delay("BTCUSDT", ts) for ts in range(0, 6_000_000, 60_000)]
    assert first == [Faults(5, plan).close_delay("BTCUSDT", ts) for ts in range(0, 6_000_000, 60_000)]
    assert 10 <= first.count(None) <= 50
    assert first != [Faults(6, plan).close_delay("BTCUSDT", ts) for ts in range(0, 6_000_000, 60_000)]
    assert Faults(5, plan).close_delay("BTCUSDT", 10_000_000) == 0


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"kind": "fire"}, "kind"),
        ({"kind": "rest_503", "from_ms": 1, "to_ms": -2}, "to_ms"),
        ({"kind": "rest_503", "from_ms": 1, "to_ms": 2, "share": 2}, "share"),
        ({"kind": "rest_503", "from_ms": 1, "to_ms": 2, "symbols": "BTCUSDT"}, "symbols"),
        ({"kind": "rest_503", "from_ms": 1, "to_ms": 2, "category": "x"}, "category"),
        ({"kind": "rest_503", "from_ms": 1, "to_ms": 2, "wat": 1}, "wat"),
        ({"kind": "rest_503", "delay_ms": 1}, "delay_ms"),
        ({"kind": "order_rejected", "code": 4120}, "code"),
        ({"kind": "order_lost", "leg": "sideways"}, "leg"),
        ({"kind": "funding_hours", "size": 3}, "size"),
    ],
)
def test_a_malformed_fault_names_its_field(body, name):
    with pytest.raises(InvalidInputError) as caught:
        Fault.from_json(body)
    assert caught.value.field == name


def test_the_products_settings_become_the_emulators(tmp_path, monkeypatch):
    from packages.common.config import load_settings

    monkeypatch.chdir(tmp_path)
    settings = load_settings(
        None, exchange="emulator", speed="max", seed=3, market_start="2026-03-01T00:00:00Z", var_dir=tmp_path
    )
    config = from_settings(settings)
    assert (config.speed, config.seed, config.state_dir) == (math.inf, 3, tmp_path / "emulator")
    assert config.market_start_ms == 1_772_323_200_000
    for name, value in (("speed", 0.0), ("mark_updates", 3), ("kline_updates", 0), ("history_days", 0)):
        with pytest.raises(InvalidInputError, match=name):
            EmulatorConfig(**{name: value})
