"""What the exchange's refusals mean and what to do about them: the one table (reference §7.3-7.4)."""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import msgspec

from packages.common.errors import (
    OutcomeUnknownError,
    VenueBannedError,
    VenueError,
    VenueRejectedError,
    VenueUnavailableError,
)
from packages.exchange.trading import RejectReason


class Reaction(StrEnum):
    """What a caller does next."""

    RETRY = "retry"  # the same again, later
    RETRY_THEN_QUERY = "retry_then_query"  # nothing should have happened, but it has: verify
    WAIT_WINDOW = "wait_window"  # everyone waits until the limit's window has passed
    STOP_ALL = "stop_all"  # every call from this address stops
    RESYNC = "resync"  # take the exchange's time anew, then again
    QUERY = "query"  # look at the state before anything else
    ABORT = "abort"  # the request is wrong; repeating it cannot help
    DONE = "done"  # it already is as wanted
    DROP_SYMBOL = "drop_symbol"  # this symbol cannot be used; read the exchange's list anew
    RESIZE = "resize"  # another price, quantity or leverage
    CLEAN_UP = "clean_up"  # own orders stand in the way
    NEW_LISTEN_KEY = "new_listen_key"
    HALT = "halt"  # no trading until an operator has looked


def _table(rows: dict[Reaction, tuple[int, ...]]) -> Mapping[int, Reaction]:
    return MappingProxyType({-code: reaction for reaction, codes in rows.items() for code in codes})


REACTIONS: Mapping[int, Reaction] = _table(
    {
        Reaction.RETRY: (1112, 2020, 4131, 5041),
        Reaction.RETRY_THEN_QUERY: (1001, 1008, 1016, 2012),
        Reaction.WAIT_WINDOW: (1003, 1015),
        Reaction.RESYNC: (1021, 5028),
        Reaction.QUERY: (
            *(1000, 1006, 1007, 2011, 2013, 2022, 2024, 4000, 4083, 4112, 4116, 4117, 4118, 4130, 4509),
            *(5021, 5022, 5024, 5025, 5026, 5027, 5029, 5043, 5047),
        ),
        Reaction.DONE: (4046, 4059, 4171),
        Reaction.NEW_LISTEN_KEY: (1125,),
        Reaction.DROP_SYMBOL: (1121, 1122, 4140, 4141, 4144, 4411),
        Reaction.RESIZE: (
            *(2018, 2019, 2021, 2027, 2028, 4016, 4024, 4028, 4161, 4164, 4183, 4184, 4210, 4211),
            *(4202, 4203, 4205, 4206, 4208, 4209),
        ),
        Reaction.CLEAN_UP: (2025, 4045),
        Reaction.HALT: (*(1002, 2014, 2015, 2017, 2023, 4060, 4061, 4087, 4088, 4109, 4192, 4400, 4401, 4402, 4403),),
        Reaction.ABORT: (
            *(1013, 1014, 1020, 1022, 1099, 5000, *range(1100, 1107), 1108, 1109, 1110, 1111, *range(1114, 1121)),
            *(1127, 1128, 1130, 1136, 2010, 2026, *range(4001, 4008), 4013, 4014, 4015, 4023, 4047, 4048, 4049, 4050),
            *(4051, 4054, 4055, 4062, 4067, 4068, 4082, 4104, 4114, 4115, 4120, *range(4135, 4140), 4142, 4165),
            *(4167, 4168, 4169, 4170, 4172, 4531, 5037, 5038, 5039, 5040),
        ),
    }
)

# Codes after which a request that changes something may have taken effect: ask before acting. -1001 and -1008 are
# documented as "not executed", and have been seen on orders that were (reference §7.3, evidence).
_UNKNOWN = frozenset({-1000, -1001, -1006, -1007, -1008, -1016, -2012})
_UNAVAILABLE = frozenset({Reaction.RETRY, Reaction.RETRY_THEN_QUERY, Reaction.WAIT_WINDOW, Reaction.RESYNC})
_UNTIL = re.compile(r"until (\d{13})")
WAF_PAUSE_MS = 120_000
NO_RETRY_AFTER_MS = 60_000
TOO_MANY_ORDERS = -1015
ORDER_WINDOW_MS = 10_000


_REASONS: Mapping[int, RejectReason] = MappingProxyType(
    {
        -code: reason
        for reason, codes in {
            RejectReason.WOULD_TRIGGER: (2021, 4142),
            RejectReason.STOP_EXISTS: (4130,),
            RejectReason.NO_POSITION: (4509,),
            RejectReason.REDUCE_ONLY: (2022, 2024, 4112, 4118),
            RejectReason.PRICE_BAND: (4016, 4024, 4131, 4183, 4184, 4210, 4211),
            RejectReason.TRIGGERING: (4117,),
            RejectReason.NOT_FOUND: (2011, 2013),
            RejectReason.DUPLICATE_ID: (4116,),
            RejectReason.NOT_FILLABLE: (1112, 2020, 5021, 5022, 5041),
            RejectReason.OFF_GRID: (1111, 4014, 4023),
            RejectReason.MARGIN: (2018, 2019, 2027, 2028, 4028, 4161, 4202, 4203, 4205, 4206, 4208, 4209),
        }.items()
        for code in codes
    }
)
# What is left is told by what to do about it.
_BY_REACTION: Mapping[Reaction, RejectReason] = MappingProxyType(
    {
        Reaction.CLEAN_UP: RejectReason.TOO_MANY_ORDERS,
        Reaction.WAIT_WINDOW: RejectReason.RATE_LIMITED,
        Reaction.STOP_ALL: RejectReason.RATE_LIMITED,
        Reaction.RESYNC: RejectReason.CLOCK,
        Reaction.DROP_SYMBOL: RejectReason.SYMBOL,
        Reaction.HALT: RejectReason.ACCOUNT,
        Reaction.DONE: RejectReason.UNCHANGED,
    }
)


class _Body(msgspec.Struct):
    code: int = 0
    msg: str = ""


def reaction_to(error: VenueError) -> Reaction:
    """What to do about ``error``. An unlisted code is treated as wrong, so that it is seen and not hammered."""
    if isinstance(error, VenueBannedError):
        return Reaction.STOP_ALL
    if error.venue_code is not None and error.venue_code in REACTIONS:
        return REACTIONS[error.venue_code]
    if isinstance(error, OutcomeUnknownError):
        return Reaction.QUERY
    if isinstance(error, VenueUnavailableError):
        return Reaction.WAIT_WINDOW if error.http_status in (403, 429) else Reaction.RETRY
    return Reaction.ABORT


def reason_of(error: VenueError) -> RejectReason:
    """What a refusal means, in the words of the port."""
    if error.http_status is None and error.venue_code is None:
        waits = isinstance(error, VenueUnavailableError) and error.retry_after_ms is not None
        return RejectReason.NO_ROOM if waits else RejectReason.NOT_SENT
    if error.venue_code is not None and error.venue_code in _REASONS:
        return _REASONS[error.venue_code]
    return _BY_REACTION.get(reaction_to(error), RejectReason.BAD_REQUEST)


def error_from(http_status: int, body: bytes, *, retry_after: str | None, now_ms: int, idempotent: bool) -> VenueError:
    """The typed error of an answer that is not a success.

    ``now_ms`` is exchange time, to turn a ban's end into a wait. A request that changes nothing (``idempotent``) has no
    unknown outcome: what would be one is unavailable instead. Of the others only an answer that says so was not
    executed: a known code below 500, a limit or the firewall. Everything else, all of 5xx included, may have been.
    """
    code, message = _read(body)
    text = f"HTTP {http_status}" + (f" {code}" if code else "") + f": {message[:300]}"
    status = {"venue_code": code, "http_status": http_status}
    if http_status == 418:
        until = _UNTIL.search(message)
        wait = int(until[1]) - now_ms if until else _retry_after_ms(retry_after, NO_RETRY_AFTER_MS * 2)
        return VenueBannedError(text, retry_after_ms=max(wait, 1_000), **status)
    if http_status == 429 or (code in (-1003, TOO_MANY_ORDERS) and http_status < 500):
        window = ORDER_WINDOW_MS if code == TOO_MANY_ORDERS else NO_RETRY_AFTER_MS
        return VenueUnavailableError(
            text, retry_after_ms=_retry_after_ms(retry_after, window - now_ms % window), **status
        )
    if http_status == 403:
        return VenueUnavailableError(text, retry_after_ms=WAF_PAUSE_MS, **status)
    if not idempotent and (code is None or code in _UNKNOWN or http_status >= 500):
        return OutcomeUnknownError(text, **status)
    if code in _UNKNOWN or http_status == 408 or http_status >= 500 or REACTIONS.get(code or 0) in _UNAVAILABLE:
        return VenueUnavailableError(text, **status)
    return VenueRejectedError(text, **status)


def _read(body: bytes) -> tuple[int | None, str]:
    try:
        parsed = msgspec.json.decode(body, type=_Body, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None, body.decode("utf-8", "replace").strip()
    return parsed.code or None, parsed.msg


def _retry_after_ms(header: str | None, default: int) -> int:
    return int(header) * 1_000 if header is not None and header.strip().isdigit() else default
