from apps.worker_batch.scheduler import Schedule, Scheduler, slot_of
from packages.common.time import HOUR_MS, MINUTE_MS

HOURLY = Schedule("sync_store", HOUR_MS, 2 * MINUTE_MS, 60.0)
T = 500_000 * HOUR_MS


def test_a_slot_is_asked_for_once_after_its_offset():
    scheduler = Scheduler((HOURLY,))
    asked = [(minute, scheduler.due(T + minute * MINUTE_MS, minute * 60e3)) for minute in range(0, 190)]
    assert [minute for minute, due in asked if due] == [2, 62, 122, 182]
    slots = [due[0][1]["as_of"] for _, due in asked if due]
    assert len(set(slots)) == 4


def test_a_fast_market_is_held_back_by_the_wall_clock():
    scheduler = Scheduler((HOURLY,))
    times = [second for second in range(0, 300) if scheduler.due(T + second * HOUR_MS, second * 1e3)]
    assert times == [60, 120, 180, 240]


def test_two_schedulers_ask_for_the_same_job():
    one, two = Scheduler((HOURLY,)), Scheduler((HOURLY,))
    for scheduler in (one, two):
        assert scheduler.due(T, 0.0) == []
    assert one.due(T + 70 * MINUTE_MS, 1e6) == two.due(T + 100 * MINUTE_MS, 2e6) != []


def test_slots_begin_at_the_offset():
    assert slot_of(HOURLY, T + MINUTE_MS) == T - HOUR_MS
    assert slot_of(HOURLY, T + 2 * MINUTE_MS) == T
