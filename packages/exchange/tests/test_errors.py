import re
from pathlib import Path

import pytest

from packages.common.errors import (
    OutcomeUnknownError,
    VenueBannedError,
    VenueRejectedError,
    VenueUnavailableError,
)
from packages.exchange.binance.errors import REACTIONS, Reaction, error_from, reaction_to

REFERENCE = Path(__file__).resolve().parents[4] / "shared" / "reference" / "binance-usdm-api.md"


UNKNOWN = b"Unknown error, please check your request or try again later."


def made(status, body=b"", *, get=True, retry_after=None, now_ms=30_000):
    return error_from(status, body, retry_after=retry_after, now_ms=now_ms, idempotent=get)


def coded(code, msg="x"):
    return b'{"code":%d,"msg":"%s"}' % (code, msg.encode())


@pytest.mark.parametrize(
    ("status", "body", "get", "kind", "reaction"),
    [
        (400, coded(-1121, "Invalid symbol."), True, VenueRejectedError, Reaction.DROP_SYMBOL),
        (400, coded(-1102), True, VenueRejectedError, Reaction.ABORT),
        (401, coded(-2015), True, VenueRejectedError, Reaction.HALT),
        (400, coded(-2019), False, VenueRejectedError, Reaction.RESIZE),
        (400, coded(-4046), False, VenueRejectedError, Reaction.DONE),
        (400, coded(-1125), False, VenueRejectedError, Reaction.NEW_LISTEN_KEY),
        (400, coded(-1021), True, VenueUnavailableError, Reaction.RESYNC),
        (429, coded(-1003), True, VenueUnavailableError, Reaction.WAIT_WINDOW),
        (429, b"", True, VenueUnavailableError, Reaction.WAIT_WINDOW),
        (418, coded(-1003), True, VenueBannedError, Reaction.STOP_ALL),
        (403, b"<html>WAF</html>", True, VenueUnavailableError, Reaction.WAIT_WINDOW),
        (408, coded(-1007), False, OutcomeUnknownError, Reaction.QUERY),
        (408, coded(-1007), True, VenueUnavailableError, Reaction.QUERY),
        (503, UNKNOWN, False, OutcomeUnknownError, Reaction.QUERY),
        # documented as not executed; so was -1008, and it had been (reference §7.3)
        (503, b"Service Unavailable.", False, OutcomeUnknownError, Reaction.QUERY),
        (503, b"Service Unavailable.", True, VenueUnavailableError, Reaction.RETRY),
        (503, coded(-1008), False, OutcomeUnknownError, Reaction.RETRY_THEN_QUERY),
        (503, coded(-1008), True, VenueUnavailableError, Reaction.RETRY_THEN_QUERY),
        (500, b"", False, OutcomeUnknownError, Reaction.QUERY),
        (503, coded(-1003), False, OutcomeUnknownError, Reaction.WAIT_WINDOW),
        (400, b"<html>nginx</html>", False, OutcomeUnknownError, Reaction.QUERY),
        (302, b"", False, OutcomeUnknownError, Reaction.QUERY),
        (404, b"<html>", True, VenueRejectedError, Reaction.ABORT),
        (400, coded(-1006), False, OutcomeUnknownError, Reaction.QUERY),
        (400, coded(-1016), False, OutcomeUnknownError, Reaction.RETRY_THEN_QUERY),
        (400, coded(-1021), False, VenueUnavailableError, Reaction.RESYNC),
        (400, coded(-4131), False, VenueUnavailableError, Reaction.RETRY),
        (400, coded(-1015), False, VenueUnavailableError, Reaction.WAIT_WINDOW),
        (502, b"bad gateway", True, VenueUnavailableError, Reaction.RETRY),
        (400, coded(-99999), True, VenueRejectedError, Reaction.ABORT),
    ],
)  # fmt: skip
def test_each_refusal_has_its_type_and_reaction(status, body, get, kind, reaction):
    error = made(status, body, get=get)
    assert type(error) is kind
    assert reaction_to(error) is reaction
    assert error.http_status == status


def test_a_ban_says_when_it_ends():
    error = made(418, coded(-1003, "Way too many requests; IP banned until 1577887774000."), now_ms=1577887770000)
    assert error.retry_after_ms == 4_000
    assert made(418, b"", retry_after="90").retry_after_ms == 90_000


def test_a_full_window_is_waited_out():
    assert made(429, b"", now_ms=45_000).retry_after_ms == 15_000
    assert made(429, b"", retry_after="3").retry_after_ms == 3_000
    assert made(400, coded(-1015), now_ms=45_000).retry_after_ms == 5_000  # the ten-second window


def test_the_message_keeps_code_and_text():
    error = made(400, coded(-1121, "Invalid symbol."))
    assert error.venue_code == -1121
    assert "-1121" in str(error)
    assert "Invalid symbol." in str(error)


def test_every_code_of_the_reference_has_a_reaction():
    if not REFERENCE.exists():
        pytest.skip("the exchange reference is not here")
    section = REFERENCE.read_text().split("### 7.4")[1].split("\n---")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| -")]
    codes: set[int] = set()
    for cell in rows:
        for first, last in re.findall(r"-(\d{4})(?:…-(\d{4}))?", cell):
            codes.update(range(int(first), int(last or first) + 1))
    assert len(codes) > 120
    assert {-code for code in codes} <= REACTIONS.keys()
