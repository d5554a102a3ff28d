"""Parameters are refused with field, value and expectation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.api.params import (
    MAX_SPAN_MS,
    Span,
    cursor_instant,
    decode_cursor,
    encode_cursor,
    instant,
    span,
)
from packages.common.errors import InvalidInputError

NOON_MS = 1_767_268_800_000


@pytest.mark.parametrize(
    "text", ["1767268800000", "2026-01-01T12:00:00Z", "2026-01-01T12:00:00.000Z", "2026-01-01T21:00:00+09:00"]
)
def test_instants_are_read_in_both_spellings(text):
    assert instant("from", text) == NOON_MS


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-01-01", "2026-01-01T12:00:00", "-1", "1e12", "99999999999999999999", "0", "9999-01-01T00:00:00Z",
     "1767268800000; DROP TABLE", "\0", "NaN", "١٧٦٧٢٦٨٨٠٠٠٠٠0"],
)  # fmt: skip
def test_what_is_no_instant_is_refused_by_name(text):
    with pytest.raises(InvalidInputError) as caught:
        instant("to", text)
    assert (caught.value.field, caught.value.value) == ("to", text)


def test_span_defaults_to_what_is_newest():
    assert span(None, None, newest_ms=NOON_MS, default_ms=1000) == Span(NOON_MS - 1000, NOON_MS)


@pytest.mark.parametrize(
    ("from_ms", "to_ms"), [(NOON_MS, NOON_MS), (NOON_MS + 1, NOON_MS), (NOON_MS - MAX_SPAN_MS - 1, NOON_MS)]
)
def test_spans_are_forward_and_bounded(from_ms, to_ms):
    with pytest.raises(InvalidInputError) as caught:
        span(str(from_ms), str(to_ms), newest_ms=0, default_ms=0)
    assert caught.value.field == "from"


@settings(deadline=None)
@given(st.integers(-(10**17), 10**17), st.text(st.characters(blacklist_characters="|\0", blacklist_categories=["Cs"])))
def test_cursors_come_back(number, text):
    assert decode_cursor(encode_cursor(number, text), (int, str)) == (number, text)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_cursor_of_a_stranger_gets_through_unchecked(text):
    try:
        place, order = decode_cursor(text, (int, int))
    except InvalidInputError:
        return
    assert isinstance(place, int)
    assert abs(order) < 2**63


@pytest.mark.parametrize("micros", [-1, 10**18, "x"])
def test_a_cursor_cannot_name_an_impossible_instant(micros):
    with pytest.raises(InvalidInputError):
        cursor_instant(micros)
