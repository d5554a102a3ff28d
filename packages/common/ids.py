"""Order ids (D3): a pure function of the decision, so that a replay makes the same one, and readable on the account.

``pp-<instance>-<digest>-<leg><attempt>``: who, which decision, which part of its bracket, which try (base 36). An id
makes an order findable; it does not make it unique (execution.md 1): the exchange frees an id once its order is closed.
"""

import hashlib
import platform
import re
from base64 import b32encode
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from packages.common.errors import InvalidInputError

PREFIX = "pp"
ATTEMPTS_MAX = 36**6 - 1  # six digits of base 36: blocks of 400 last for five million restarts

_EXCHANGE = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_INSTANCE = re.compile(r"[a-z0-9]{1,8}")
_OURS = re.compile(rf"{PREFIX}-([a-z0-9]{{1,8}})-([a-z2-7]{{16}})-([a-z])([1-9a-z][0-9a-z]{{0,5}})")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Leg(StrEnum):
    """Which part of a bracket an order is."""

    ENTRY = "e"
    STOP = "s"
    TARGET = "t"
    STAGE = "l"  # a LIMIT on the way to the target, of a part
    EXIT = "x"  # time exit, operator, agent, flatten, software stop
    BRIDGE = "b"  # quantity and reduce-only, while a stop moves
    CANARY = "c"


class OrderId(NamedTuple):
    """What an id of ours says. ``decision`` is the digest of the decision's id, not the id."""

    instance: str
    decision: str
    leg: Leg
    attempt: int


def client_order_id(instance: str, decision_id: str, leg: Leg, attempt: int) -> str:
    """The id of one try at one leg, at most 36 characters of the exchange's pattern.

    ``instance``: 1 to 8 of ``a-z0-9``, one per desk and account; ``attempt`` from 1. Raises ``InvalidInputError``.
    """
    if not _INSTANCE.fullmatch(instance):
        raise InvalidInputError("instance", instance, "1 to 8 lower-case letters and digits")
    if not decision_id:
        raise InvalidInputError("decision_id", decision_id, "a text that is not empty")
    if not 1 <= attempt <= ATTEMPTS_MAX:
        raise InvalidInputError("attempt", attempt, f"1 to {ATTEMPTS_MAX}")
    return f"{PREFIX}-{instance}-{decision_digest(decision_id)}-{leg}{_base36(attempt)}"


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text


def instance_tag(place: Path) -> str:
    """The tag of a desk that names none: a function of where its data lies on this machine, so that two desks differ.

    A desk that was moved keeps its tag in its journal, which refuses another one.
    """
    told = f"{platform.node()}:{place.resolve()}"
    return b32encode(hashlib.sha256(told.encode()).digest()[:4]).decode().rstrip("=").lower()


def decision_digest(decision_id: str) -> str:
    """80 bits of SHA-256 in base 32: what an id carries of the decision it came from."""
    return b32encode(hashlib.sha256(decision_id.encode()).digest()[:10]).decode().lower()


def parse_order_id(text: str) -> OrderId | None:
    """Read an id of this product, of any instance; None for every other (also ``autoclose-…`` and its like)."""
    match = _OURS.fullmatch(text)
    if match is None:
        return None
    try:
        return OrderId(match[1], match[2], Leg(match[3]), int(match[4], 36))
    except ValueError:
        return None


def check_client_id(text: str) -> str:
    """``text`` when the exchange would take it as a client id, else ``InvalidInputError``."""
    if not _EXCHANGE.fullmatch(text):
        raise InvalidInputError("client_id", text, "1 to 36 of . A-Z : / a-z 0-9 _ -")
    return text
