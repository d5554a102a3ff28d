from services.normalizer.quality import QualityLog

MIN = 60_000


def test_a_flood_becomes_two_rows_a_minute():
    log = QualityLog()
    for n in range(500):
        log.add(n, "X", "UNKNOWN_SYMBOL", "first")
    [first] = log.take(100)
    assert (first.code, first.message, first.details) == ("UNKNOWN_SYMBOL", "first", {})
    assert log.take(MIN - 1) == []
    [rest] = log.take(MIN)
    assert rest.details == {"repeated": 499}
    assert log.take(2 * MIN) == []


def test_kinds_are_counted_apart():
    log = QualityLog()
    log.add(0, "X", "A", "m", value=1)
    log.add(0, "Y", "A", "m")
    log.add(0, "X", "B", "m")
    assert [(e.symbol, e.code, e.details) for e in log.take(0)] == [
        ("X", "A", {"value": 1}),
        ("Y", "A", {}),
        ("X", "B", {}),
    ]


def test_repetitions_are_told_with_the_next_one_when_nobody_asked_in_between():
    log = QualityLog()
    for at in (0, 1, MIN):
        log.add(at, None, "A", "m")
    assert [e.details for e in log.take(MIN)] == [{}, {"repeated_before": 1}]
