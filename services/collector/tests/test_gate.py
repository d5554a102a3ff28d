from hypothesis import given
from hypothesis import strategies as st

from packages.common.time import MINUTE_MS
from packages.common.types import MinuteRecord, OhlcBar
from services.collector.core.gate import MinuteGate
from services.collector.tests.fakes import T0, bar

NAN = float("nan")


def record(symbol: str, n: int) -> MinuteRecord:
    ts = T0 + n * MINUTE_MS
    return MinuteRecord(bar(symbol, ts), OhlcBar(symbol, ts, 1, 1, 1, 1), None, NAN, NAN, 0, ts + MINUTE_MS)


def gate() -> MinuteGate:
    return MinuteGate({"A1": T0 - MINUTE_MS, "B1": T0 - MINUTE_MS})


def test_a_minute_closes_when_everyone_has_come():
    g = gate()
    assert g.add([record("A1", 0)]) == []
    assert g.close(-1) == []
    g.add([record("B1", 0), record("B1", 1)])
    [closing] = g.close(-1)
    assert (closing.ts_ms, [r.bar.symbol for r in closing.records], closing.late) == (T0, ["A1", "B1"], ())
    assert g.open_ts_ms == T0 + MINUTE_MS


def test_a_deadline_closes_it_and_late_ones_pass_alone():
    g = gate()
    g.add([record("A1", 0), record("A1", 1)])
    [closing] = g.close(T0 + MINUTE_MS)
    assert (closing.ts_ms, closing.late) == (T0, ("B1",))
    assert [r.bar.symbol for r in g.add([record("B1", 0)])] == ["B1"]
    g.add([record("B1", 1)])
    assert [len(c.records) for c in g.close(-1)] == [2]


def test_an_absent_symbol_is_not_waited_for_until_it_comes():
    g = gate()
    g.set_absent("B1", True)
    g.add([record("A1", 0)])
    [closing] = g.close(-1)
    assert closing.late == ()
    g.add([record("A1", 1), record("B1", 0)])
    assert g.absent == frozenset()
    assert g.close(-1) == []  # waited for again


def test_skipped_minutes_are_not_waited_for():
    g = gate()
    g.add([record("A1", 0), record("A1", 1)])
    g.skipped("B1", T0)
    assert [c.ts_ms for c in g.close(-1)] == [T0]


def test_time_does_not_run_ahead_of_the_market():
    g = gate()
    g.set_absent("A1", True)
    g.set_absent("B1", True)
    assert g.close(-1) == []


@given(st.lists(st.tuples(st.sampled_from(["A1", "B1", "C1"]), st.booleans()), max_size=60))
def test_every_record_leaves_once_in_order_and_minutes_close_without_a_hole(moves):
    g = MinuteGate(dict.fromkeys(["A1", "B1", "C1"], T0 - MINUTE_MS))
    at = {"A1": 0, "B1": 0, "C1": 0}
    out: list[MinuteRecord] = []
    closed: list[int] = []

    def take(due: int) -> None:
        for closing in g.close(due):
            closed.append(closing.ts_ms)
            out.extend(closing.records)
            on_time = {r.bar.symbol for r in closing.records}
            assert set(closing.late) == {s for s in at if s not in on_time}

    for symbol, force in moves:
        out += g.add([record(symbol, at[symbol])])
        at[symbol] += 1
        take(g.open_ts_ms + MINUTE_MS if force else -1)
    take(T0 + 100 * MINUTE_MS)
    assert closed == [T0 + n * MINUTE_MS for n in range(len(closed))]
    for symbol, n in at.items():
        assert [r.bar.ts_ms for r in out if r.bar.symbol == symbol] == [T0 + k * MINUTE_MS for k in range(n)]
