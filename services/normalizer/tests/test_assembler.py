import math

from hypothesis import given, settings
from hypothesis import strategies as st

from packages.common.time import HOUR_MS, MINUTE_MS
from packages.common.types import Bar, KlineUpdate, MarkTick, MinuteRecord, OhlcBar, Settlement
from services.normalizer.assembler import Assembler, AssemblerConfig
from services.normalizer.quality import QualityLog

T0 = 1_700_000_000_000 // HOUR_MS * HOUR_MS + 57 * MINUTE_MS  # three minutes before a full hour
FUNDING = T0 + 3 * MINUTE_MS
OFFSETS = (0, 15_000, 30_000, 45_000)
PATIENT = AssemblerConfig(min_samples=3, deadline_ms=10 * MINUTE_MS, grace_ms=10 * MINUTE_MS)
EAGER = AssemblerConfig(min_samples=3, deadline_ms=5_000, grace_ms=5_000)


def price(symbol: str, at: int) -> float:
    return 100.0 + (ord(symbol[0]) + at // 1000 * 7919) % 97 / 10  # any fixed function of symbol and time


def bar(symbol: str, ts: int) -> Bar:
    prices = [price(symbol, ts + o) for o in OFFSETS]
    return Bar(symbol, ts, prices[0], max(prices), min(prices), prices[-1], 5.0, 500.0, 7, 2.0, 200.0)


def kline(symbol: str, ts: int, closed: bool = True) -> KlineUpdate:
    return KlineUpdate(ts + MINUTE_MS if closed else ts + 30_000, closed, bar(symbol, ts))


def mark(symbol: str, at: int) -> MarkTick:
    due = FUNDING if at < FUNDING else FUNDING + HOUR_MS
    return MarkTick(symbol, at, price(symbol, at), price(symbol, at) + 1, at % 7 * 1e-5, due)


def settlement(symbol: str) -> Settlement:
    return Settlement(symbol, FUNDING, 1e-4, 100.0)


def rest_mark(symbol: str, ts: int) -> OhlcBar:
    b = bar(symbol, ts)
    return OhlcBar(symbol, ts, b.open, b.high, b.low, b.close)


def rest_index(symbol: str, ts: int) -> OhlcBar:
    b = bar(symbol, ts)
    return OhlcBar(symbol, ts, b.open + 1, b.high + 1, b.low + 1, b.close + 1)


def expected(symbol: str, ts: int) -> tuple:
    """A minute by the definition alone: what any way of getting there must give."""
    m, i = rest_mark(symbol, ts), rest_index(symbol, ts)
    rate = 1e-4 if ts + MINUTE_MS == FUNDING else math.nan
    due = FUNDING if ts < FUNDING else FUNDING + HOUR_MS
    return (bar(symbol, ts), prices(m), prices(i), repr(rate), due)


def prices(b: OhlcBar | None) -> tuple | None:
    return b and (b.symbol, b.ts_ms, b.open, b.high, b.low, b.close)


def seen(record: MinuteRecord) -> tuple:
    return (
        record.bar,
        prices(record.mark),
        prices(record.index),
        repr(record.settled_rate),
        record.next_funding_ts_ms,
    )


def streamed(symbols: list[str], config: AssemblerConfig = PATIENT) -> tuple[Assembler, QualityLog]:
    """An assembler whose stream is whole from T0 on."""
    quality = QualityLog()
    assembler = Assembler(config, dict.fromkeys(symbols, T0 - MINUTE_MS), quality)
    assembler.on_connected()
    for s in symbols:
        feed(assembler, mark(s, T0 - 15_000))
    return assembler, quality


def feed(assembler: Assembler, message) -> None:
    now = max(assembler.newest_event_ms, T0)
    if isinstance(message, MarkTick):
        assembler.on_mark(message, now)
    elif isinstance(message, KlineUpdate):
        assembler.on_kline(message, now)
    else:
        assembler.on_settlement(message)


def take(assembler: Assembler, now: int | None = None) -> list[MinuteRecord]:
    now = assembler.newest_event_ms if now is None else now
    return assembler.take_ready(now, now, everyone=True)


def minute(symbol: str, ts: int) -> list:
    return [*(mark(symbol, ts + o) for o in OFFSETS), kline(symbol, ts)]


# --- any order, any repetition ----------------------------------------------------------------------------------------

SYMBOLS = ["BTCUSDT", "ETHUSDT"]
MINUTES = [T0 + n * MINUTE_MS for n in range(4)]


def script() -> list[list]:
    """Ordered message lists that may interleave freely; the settled rates come when they come."""
    lists: list[list] = []
    for s in SYMBOLS:
        lists.append([k for ts in MINUTES for k in (kline(s, ts, closed=False), kline(s, ts))])
        lists.append([mark(s, ts + o) for ts in [*MINUTES, MINUTES[-1] + MINUTE_MS] for o in OFFSETS])
        lists.append([settlement(s)])
    return lists


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_interleaving_and_repetition_gives_the_same_records(data):
    lists = script()
    assembler, quality = streamed(SYMBOLS)
    records: list[MinuteRecord] = []
    told: list = []
    while any(lists):
        n = data.draw(st.sampled_from([i for i, rest in enumerate(lists) if rest]))
        for _ in range(data.draw(st.integers(1, 6))):
            if lists[n]:
                told.append(lists[n].pop(0))
                feed(assembler, told[-1])
        if data.draw(st.booleans()):
            feed(assembler, data.draw(st.sampled_from(told)))
        if data.draw(st.booleans()):
            records += take(assembler)
    records += take(assembler)
    for s in SYMBOLS:
        mine = [r for r in records if r.bar.symbol == s]
        assert [seen(r) for r in mine] == [expected(s, ts) for ts in MINUTES]
        assert all(r.mark.samples == len(OFFSETS) and r.source == "ws" for r in mine)
    assert not quality.take(assembler.newest_event_ms + HOUR_MS)


@settings(max_examples=100, deadline=None)
@given(st.permutations(OFFSETS))
def test_samples_fold_by_event_time_not_by_arrival(order):
    assembler, _ = streamed(["BTCUSDT"])
    for offset in order:
        feed(assembler, mark("BTCUSDT", T0 + offset))
    feed(assembler, kline("BTCUSDT", T0))
    feed(assembler, mark("BTCUSDT", T0 + MINUTE_MS))
    [record] = take(assembler)
    assert seen(record) == expected("BTCUSDT", T0)
    assert record.funding_rate == (T0 + OFFSETS[-1]) % 7 * 1e-5


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(MINUTES)), st.sets(st.sampled_from(MINUTES)), st.sets(st.sampled_from(MINUTES)))
def test_a_gap_that_is_repaired_cannot_be_told_from_a_streamed_minute(no_bar, no_marks, thin_marks):
    assembler, _ = streamed(["BTCUSDT"], EAGER)
    records = []
    for ts in [*MINUTES, MINUTES[-1] + MINUTE_MS]:
        for message in minute("BTCUSDT", ts):
            if isinstance(message, MarkTick):
                lost = ts in no_marks or (ts in thin_marks and message.event_ts_ms - ts in OFFSETS[1:3])
            else:
                lost = ts in no_bar
            if not lost:
                feed(assembler, message)
        if ts >= FUNDING:
            feed(assembler, settlement("BTCUSDT"))
        now = ts + MINUTE_MS + 6_000
        records += take(assembler, now)
        for want in assembler.wants(now):
            span = range(want.from_ms, want.to_ms + 1, MINUTE_MS)
            if not assembler.knows_next_funding("BTCUSDT", want.to_ms):
                assembler.on_next_funding("BTCUSDT", FUNDING if now < FUNDING else FUNDING + HOUR_MS)
            assembler.on_rest(
                "BTCUSDT",
                [bar("BTCUSDT", t) for t in span if want.needs_bar],
                [rest_mark("BTCUSDT", t) for t in span if want.needs_mark],
                [rest_index("BTCUSDT", t) for t in span if want.needs_index],
                now,
            )
        records += take(assembler, now)
    done = [r for r in records if r.bar.ts_ms in MINUTES]
    assert [seen(r) for r in done] == [expected("BTCUSDT", ts) for ts in MINUTES]
    for r in done:
        lost = r.bar.ts_ms in no_bar | no_marks | thin_marks
        assert (r.source == "rest") == lost or r.bar.ts_ms not in no_bar | no_marks


# --- one rule at a time -----------------------------------------------------------------------------------------------


def test_a_minute_waits_for_its_closed_candle():
    assembler, _ = streamed(["BTCUSDT"], EAGER)
    for message in [*minute("BTCUSDT", T0)[:-1], kline("BTCUSDT", T0, closed=False), mark("BTCUSDT", T0 + MINUTE_MS)]:
        feed(assembler, message)
    assert take(assembler) == []
    assert assembler.wants(T0 + MINUTE_MS + 4_999) == []
    [want] = assembler.wants(T0 + MINUTE_MS + 5_000)
    assert (want.needs_bar, want.needs_mark, want.needs_index) == (True, False, False)
    assert (want.from_ms, want.to_ms) == (T0, T0)
    feed(assembler, kline("BTCUSDT", T0))  # late, but before REST answered
    assert [r.bar.ts_ms for r in take(assembler)] == [T0]


def test_a_later_candle_shows_at_once_that_one_is_missing():
    assembler, _ = streamed(["BTCUSDT"])
    for message in [*minute("BTCUSDT", T0)[:-1], *minute("BTCUSDT", T0 + MINUTE_MS)]:
        feed(assembler, message)
    [want] = assembler.wants(T0 + 2 * MINUTE_MS)
    assert (want.from_ms, want.needs_bar) == (T0, True)


def test_nothing_later_passes_a_hole():
    assembler, _ = streamed(["BTCUSDT"], EAGER)
    for message in [*minute("BTCUSDT", T0 + MINUTE_MS), mark("BTCUSDT", T0 + 2 * MINUTE_MS)]:
        feed(assembler, message)
    assert take(assembler, T0 + 5 * MINUTE_MS) == []
    assembler.on_rest("BTCUSDT", [bar("BTCUSDT", T0)], [rest_mark("BTCUSDT", T0)], [rest_index("BTCUSDT", T0)], T0 + 5 * MINUTE_MS)  # fmt: skip  # noqa: E501
    assert [r.bar.ts_ms for r in take(assembler)] == [T0, T0 + MINUTE_MS]


def test_samples_are_over_when_a_later_one_came_or_the_clock_says_so():
    assembler, _ = streamed(["BTCUSDT"], EAGER)
    for message in minute("BTCUSDT", T0):
        feed(assembler, message)
    assert take(assembler, T0 + MINUTE_MS + 4_999) == []
    assert len(take(assembler, T0 + MINUTE_MS + 5_000)) == 1


def test_too_few_samples_are_fetched():
    assembler, _ = streamed(["BTCUSDT"])
    for message in [mark("BTCUSDT", T0), mark("BTCUSDT", T0 + 15_000), kline("BTCUSDT", T0), mark("BTCUSDT", T0 + MINUTE_MS)]:  # fmt: skip  # noqa: E501
        feed(assembler, message)
    assert take(assembler) == []
    [want] = assembler.wants(T0 + MINUTE_MS)
    assert (want.needs_bar, want.needs_mark, want.needs_index) == (False, True, True)


def test_the_minute_in_which_a_connection_changes_is_not_trusted():
    assembler, _ = streamed(["BTCUSDT"])
    messages = minute("BTCUSDT", T0)
    for message in messages[:2]:
        feed(assembler, message)
    assembler.on_connected()
    for message in [*messages[2:], mark("BTCUSDT", T0 + MINUTE_MS)]:
        feed(assembler, message)
    assert take(assembler) == []
    assert assembler.wants(T0 + MINUTE_MS)[0].needs_mark
    assembler.on_rest("BTCUSDT", [], [rest_mark("BTCUSDT", T0)], [rest_index("BTCUSDT", T0)], T0 + MINUTE_MS)
    [record] = take(assembler)
    assert record.mark.samples is None
    assert seen(record) == expected("BTCUSDT", T0)


def test_a_minute_seen_whole_survives_a_reconnect():
    assembler, _ = streamed(["BTCUSDT"])
    for message in [*minute("BTCUSDT", T0)[:-1], mark("BTCUSDT", T0 + MINUTE_MS)]:
        feed(assembler, message)
    assembler.on_connected()
    feed(assembler, mark("BTCUSDT", T0 + MINUTE_MS + 15_000))
    feed(assembler, kline("BTCUSDT", T0))
    [record] = take(assembler)
    assert record.mark.samples == 4


def test_a_settlement_minute_waits_for_its_rate():
    assembler, _ = streamed(["BTCUSDT"])
    for n in range(4):
        for message in minute("BTCUSDT", T0 + n * MINUTE_MS):
            feed(assembler, message)
    assert [r.bar.ts_ms for r in take(assembler)] == [T0, T0 + MINUTE_MS]
    assert assembler.missing_settlements(FUNDING) == {FUNDING: ["BTCUSDT"]}
    feed(assembler, settlement("BTCUSDT"))
    assert assembler.missing_settlements(FUNDING) == {}
    assert [repr(r.settled_rate) for r in take(assembler)] == ["0.0001"]


def test_a_settlement_inside_a_gap_belongs_to_the_next_record():
    assembler, _ = streamed(["BTCUSDT"])
    for ts in (T0, T0 + MINUTE_MS):
        for message in minute("BTCUSDT", ts):
            feed(assembler, message)
    feed(assembler, mark("BTCUSDT", T0 + 2 * MINUTE_MS))
    assert len(take(assembler)) == 2
    assembler.skip("BTCUSDT", T0 + 2 * MINUTE_MS)  # the minute that ends with the settlement cannot be had
    feed(assembler, settlement("BTCUSDT"))
    for message in [*minute("BTCUSDT", FUNDING), mark("BTCUSDT", FUNDING + MINUTE_MS)]:
        feed(assembler, message)
    [record] = take(assembler)
    assert (record.bar.ts_ms, record.settled_rate) == (FUNDING, 1e-4)


def test_a_rate_that_is_never_published_does_not_hold_for_ever():
    assembler, _ = streamed(["BTCUSDT"])
    for n in range(4):
        for message in minute("BTCUSDT", T0 + n * MINUTE_MS):
            feed(assembler, message)
    assert len(take(assembler)) == 2
    assembler.on_funding_history("BTCUSDT", FUNDING)
    assert take(assembler) == []  # it was announced: that history is silent about it proves nothing yet
    assert assembler.missing_settlements(FUNDING) == {FUNDING: ["BTCUSDT"]}
    assembler.on_no_settlement("BTCUSDT", FUNDING)
    assert assembler.missing_settlements(FUNDING) == {}
    [record] = take(assembler)
    assert math.isnan(record.settled_rate)


def test_minutes_from_rest_alone_wait_for_funding_history_at_full_hours():
    assembler = Assembler(EAGER, {"BTCUSDT": FUNDING - 2 * MINUTE_MS}, QualityLog())
    ts, now = FUNDING - MINUTE_MS, FUNDING + MINUTE_MS
    assembler.on_rest("BTCUSDT", [bar("BTCUSDT", ts)], [rest_mark("BTCUSDT", ts)], [rest_index("BTCUSDT", ts)], now)
    assert take(assembler, now) == []
    assembler.on_funding_history("BTCUSDT", FUNDING)
    [record] = take(assembler, now)
    assert math.isnan(record.settled_rate)
    assert math.isnan(record.funding_rate)
    assert record.source == "rest"


def test_an_hour_inside_a_gap_must_be_known_before_the_next_record():
    assembler = Assembler(EAGER, {"BTCUSDT": FUNDING - 3 * MINUTE_MS}, QualityLog())
    assembler.skip("BTCUSDT", FUNDING)  # minutes around the hour cannot be had, and nobody announced a settlement
    ts, now = FUNDING + MINUTE_MS, FUNDING + 2 * MINUTE_MS
    assembler.on_rest("BTCUSDT", [bar("BTCUSDT", ts)], [rest_mark("BTCUSDT", ts)], [rest_index("BTCUSDT", ts)], now)
    assert take(assembler, now) == []
    assert assembler.missing_settlements(now) == {FUNDING: ["BTCUSDT"]}
    feed(assembler, settlement("BTCUSDT"))
    [record] = take(assembler, now)
    assert record.settled_rate == 1e-4


def test_a_sample_that_names_no_settlement_rules_none_out():
    assembler = Assembler(PATIENT, {"BTCUSDT": T0 - MINUTE_MS}, QualityLog())
    assembler.on_connected()
    for at in [T0 - 15_000, *(T0 + n * MINUTE_MS + o for n in range(4) for o in OFFSETS)]:
        feed(assembler, MarkTick("BTCUSDT", at, 100.0, 101.0, 0.0, 0))
    for n in range(3):
        feed(assembler, kline("BTCUSDT", T0 + n * MINUTE_MS))
    assert [r.bar.ts_ms for r in take(assembler)] == [T0, T0 + MINUTE_MS]
    assert assembler.missing_settlements(FUNDING) == {FUNDING: ["BTCUSDT"]}


def test_a_missing_index_is_none_when_the_exchange_has_none():
    assembler, _ = streamed(["BTCUSDT"])
    for o in OFFSETS:
        feed(assembler, MarkTick("BTCUSDT", T0 + o, 100.0, math.nan, 0.0, FUNDING))
    flat = Bar("BTCUSDT", T0, 100.0, 100.0, 100.0, 100.0, 0.0, 0.0)
    feed(assembler, KlineUpdate(T0 + MINUTE_MS, True, flat))
    feed(assembler, mark("BTCUSDT", T0 + MINUTE_MS))
    assert take(assembler) == []
    [want] = assembler.wants(T0 + MINUTE_MS)
    assert (want.needs_bar, want.needs_mark, want.needs_index) == (False, False, True)
    assembler.on_rest("BTCUSDT", [], [], [], T0 + MINUTE_MS, no_index=[T0])
    [record] = take(assembler)
    assert record.index is None


# --- bad input --------------------------------------------------------------------------------------------------------


def codes(quality: QualityLog, now: int) -> list[tuple[str, str | None]]:
    return [(e.code, e.symbol) for e in quality.take(now)]


def broken(**change) -> KlineUpdate:
    good = bar("BTCUSDT", T0)
    fields = {name: getattr(good, name) for name in good.__struct_fields__}
    return KlineUpdate(T0 + MINUTE_MS, True, Bar(**(fields | change)))


def test_bad_candles_become_events_and_the_minute_is_asked_of_rest():
    for change, code in [
        ({"close": math.nan}, "NAN_PRICE"),
        ({"open": 0.0}, "BAD_PRICE"),
        ({"high": math.inf}, "BAD_PRICE"),
        ({"volume": -1.0}, "NEGATIVE_VOLUME"),
        ({"quote_volume": math.nan}, "NAN_VOLUME"),
        ({"high": 1.0}, "HIGH_BELOW_LOW"),
        ({"close": 1e6}, "OUTSIDE_RANGE"),
        ({"ts_ms": T0 + 1}, "MISALIGNED_BAR"),
        ({"ts_ms": T0 + HOUR_MS}, "FUTURE_BAR"),
    ]:
        assembler, quality = streamed(["BTCUSDT"], EAGER)
        for message in [*minute("BTCUSDT", T0)[:-1], broken(**change)]:
            feed(assembler, message)
        assert codes(quality, T0) == [(code, "BTCUSDT")]
        assert take(assembler, T0 + 2 * MINUTE_MS) == []
        assert assembler.wants(T0 + 2 * MINUTE_MS)[0].needs_bar


def test_bad_marks_and_unknown_symbols_become_events():
    assembler, quality = streamed(["BTCUSDT"])
    feed(assembler, MarkTick("BTCUSDT", T0, math.nan, 1.0, 0.0, FUNDING))
    feed(assembler, MarkTick("BTCUSDT", T0 + 1, -1.0, 1.0, 0.0, FUNDING))
    feed(assembler, mark("DOGEUSDT", T0))
    feed(assembler, kline("DOGEUSDT", T0))
    feed(assembler, MarkTick("BTCUSDT", T0 + HOUR_MS, 100.0, 1.0, 0.0, FUNDING))
    assert codes(quality, T0) == [
        ("NAN_PRICE", "BTCUSDT"),
        ("BAD_PRICE", "BTCUSDT"),
        ("UNKNOWN_SYMBOL", "DOGEUSDT"),
        ("FUTURE_EVENT", "BTCUSDT"),
    ]
    assert codes(quality, T0 + 10 * MINUTE_MS) == [("UNKNOWN_SYMBOL", "DOGEUSDT")]  # the repetition, counted
    for message in [*minute("BTCUSDT", T0), mark("BTCUSDT", T0 + MINUTE_MS)]:
        feed(assembler, message)
    assert len(take(assembler)) == 1  # nothing was lost by it


def test_another_candle_of_the_same_minute_is_told_and_the_first_stands():
    assembler, quality = streamed(["BTCUSDT"])
    for message in [*minute("BTCUSDT", T0), broken(volume=9.0), mark("BTCUSDT", T0 + MINUTE_MS)]:
        feed(assembler, message)
    assert codes(quality, T0) == [("CONFLICTING_BAR", "BTCUSDT")]
    [record] = take(assembler)
    assert record.bar == bar("BTCUSDT", T0)


def test_symbols_come_and_go():
    assembler, quality = streamed(["BTCUSDT"])
    assembler.admit("ETHUSDT", T0)
    assert set(assembler.symbols) == {"BTCUSDT", "ETHUSDT"}
    assembler.retire("BTCUSDT")
    feed(assembler, mark("BTCUSDT", T0))
    assert codes(quality, T0) == [("UNKNOWN_SYMBOL", "BTCUSDT")]
    assert [w.symbol for w in assembler.wants(T0 + HOUR_MS)] == ["ETHUSDT"]
