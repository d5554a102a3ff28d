from hypothesis import given
from hypothesis import strategies as st

from packages.exchange.binance.budget import OrderBudget, Purpose, RollingBudget, kline_weight

WINDOW = 60_000


def test_reserve_is_for_exits_only():
    budget = RollingBudget(100)
    budget.spend(0, 70)
    assert budget.delay_ms(1_000, 1) == 59_000
    assert budget.delay_ms(1_000, 30, Purpose.EXIT) == 0
    assert budget.delay_ms(1_000, 31, Purpose.EXIT) == 59_000
    assert budget.delay_ms(60_000, 1) == 0


def test_what_others_behind_the_address_used_counts():
    budget = RollingBudget(100)
    budget.spend(0, 5)
    budget.observe(0, 68)
    assert budget.delay_ms(10, 2) == 0
    budget.spend(10, 2)
    assert budget.delay_ms(20, 1) == 59_980
    budget.observe(30, 10)  # the exchange's window turned
    assert budget.delay_ms(40, 1) == 0


def test_a_request_dearer_than_everything_goes_alone():
    budget = RollingBudget(10)
    assert budget.delay_ms(0, 50) == 0
    budget.spend(0, 1)
    assert budget.delay_ms(5, 50) == 59_995


@given(
    st.integers(20, 300),
    st.lists(st.tuples(st.integers(0, 3_000), st.sampled_from([1, 2, 5, 10])), max_size=200),
    st.integers(0, WINDOW - 1),
)
def test_no_window_of_any_phase_is_ever_overspent(limit, calls, phase):
    budget = RollingBudget(limit)
    now, sent = 0, []
    for pause, weight in calls:
        now += pause
        while delay := budget.delay_ms(now, weight):
            now += delay
        budget.spend(now, weight)
        sent.append((now, weight))
    by_window: dict[int, int] = {}
    for at, weight in sent:
        window = (at + phase) // WINDOW
        by_window[window] = by_window.get(window, 0) + weight
    assert max(by_window.values(), default=0) <= limit * 0.7


@given(st.integers(1, 1500))
def test_kline_weight_follows_the_reference(limit):
    expected = 1 if limit <= 99 else 2 if limit <= 499 else 5 if limit <= 1000 else 10
    assert kline_weight(limit) == expected


def test_orders_are_kept_for_exits_in_both_windows():
    budget = OrderBudget(10, 20, reserve=0.5)
    for n in range(5):
        assert budget.delay_ms(n, Purpose.ENTRY) == 0
        budget.spend(n)
    assert budget.delay_ms(5, Purpose.ENTRY) == 9_995
    for n in range(5, 10):
        assert budget.delay_ms(n, Purpose.EXIT) == 0
        budget.spend(n)
    assert budget.delay_ms(10, Purpose.EXIT) == 9_990
    assert budget.delay_ms(10_100, Purpose.EXIT) == 0  # the short window turned
    assert budget.delay_ms(10_100, Purpose.ENTRY) == 49_900  # the long one holds half of its orders


def test_orders_of_another_program_on_the_account_count():
    budget = OrderBudget(10, 20, reserve=0.5)
    budget.spend(0)
    budget.observe(0, None, 10)
    assert budget.delay_ms(1, Purpose.ENTRY) == 59_999
    assert budget.delay_ms(1, Purpose.EXIT) == 0


@given(st.lists(st.tuples(st.integers(0, 1_500), st.sampled_from([Purpose.ENTRY, Purpose.EXIT])), max_size=150))
def test_entries_never_leave_exits_without_their_orders(calls):
    budget = OrderBudget(12, 30, reserve=0.5)
    now, sent = 0, []
    for pause, purpose in calls:
        now += pause
        if budget.delay_ms(now, purpose) == 0:
            budget.spend(now)
            sent.append((now, purpose))
    for window, limit in ((10_000, 12), (60_000, 30)):
        for start, _ in sent:
            inside = [purpose for at, purpose in sent if start <= at < start + window]
            assert len(inside) <= limit
            assert inside.count(Purpose.ENTRY) <= limit // 2
