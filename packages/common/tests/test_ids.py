import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packages.common.errors import InvalidInputError
from packages.common.ids import (
    ATTEMPTS_MAX,
    Leg,
    OrderId,
    check_client_id,
    client_order_id,
    decision_digest,
    parse_order_id,
)

# The exchange's own pattern, as its documentation prints it (D3).
PATTERN = re.compile(r"^[\.A-Z\:/a-z0-9_-]{1,36}$")
instances = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
attempts = st.integers(1, ATTEMPTS_MAX)


@given(instances, st.text(min_size=1, max_size=80), st.sampled_from(Leg), attempts)
def test_every_id_fits_the_exchange_and_can_be_read_back(instance, decision, leg, attempt):
    made = client_order_id(instance, decision, leg, attempt)
    assert PATTERN.match(made)
    assert check_client_id(made) == made
    assert parse_order_id(made) == OrderId(instance, decision_digest(decision), leg, attempt)
    assert client_order_id(instance, decision, leg, attempt) == made


def test_another_instance_decision_leg_or_attempt_is_another_id():
    ids = {
        client_order_id(instance, decision, leg, attempt)
        for instance in ("a", "b")
        for decision in ("BTCUSDT:1", "BTCUSDT:2")
        for leg in Leg
        for attempt in (1, 2, 11)
    }
    assert len(ids) == 2 * 2 * len(Leg) * 3


def test_the_id_of_a_decision_never_changes():
    # journals hold ids: another derivation would make every order of yesterday a foreign one
    assert client_order_id("desk1", "BTCUSDT:1700000000000", Leg.STOP, 2) == "pp-desk1-3cc6n76w4vvzwzfd-s2"


@pytest.mark.parametrize(
    "foreign",
    [
        *(
            "autoclose-1234567890",
            "adl_autoclose",
            "settlement_autoclose-9999",
            "delivery_autoclose-1",
            "x-cvBPrNm9abc",
        ),
        *("web_abc", "", "pp-a-3cc6n76w4vvzwzfd-s0", "pp-a-3cc6n76w4vvzwzfd-q1", "pp-a-3cc6n76w4vvzwzfd-s1\n"),
    ],
)
def test_what_is_not_ours_is_not_read_as_ours(foreign):
    assert parse_order_id(foreign) is None


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("instance", ("", "d", Leg.ENTRY, 1)),
        ("instance", ("Desk", "d", Leg.ENTRY, 1)),
        ("instance", ("a-b", "d", Leg.ENTRY, 1)),
        ("instance", ("a" * 9, "d", Leg.ENTRY, 1)),
        ("decision_id", ("a", "", Leg.ENTRY, 1)),
        ("attempt", ("a", "d", Leg.ENTRY, 0)),
        ("attempt", ("a", "d", Leg.ENTRY, ATTEMPTS_MAX + 1)),
    ],
)
def test_bad_parts_are_refused_by_name(field, arguments):
    with pytest.raises(InvalidInputError) as refused:
        client_order_id(*arguments)
    assert refused.value.field == field


@pytest.mark.parametrize("text", ["", "a" * 37, "a b", "ä", "abc\n"])
def test_an_id_the_exchange_would_refuse_never_leaves(text):
    with pytest.raises(InvalidInputError):
        check_client_id(text)
