"""One internal name per instrument, ``BTCUSDT``, and its spelling elsewhere (specification §4)."""

import re
from typing import Literal, assert_never

from packages.common.errors import InvalidInputError

# Non-ASCII names exist on the exchange; an internal name is upper-case letters and digits of any script.
_INTERNAL = re.compile(r"^[0-9A-Z\u0080-\U0010FFFF]{2,40}(_[0-9A-Z]+)?$")


def validate_internal(internal: str) -> None:
    """Raise ``InvalidInputError`` unless ``internal`` is spelled like ``BTCUSDT``."""
    if not isinstance(internal, str) or not _INTERNAL.match(internal) or internal != internal.upper():
        raise InvalidInputError("symbol", internal, "upper-case letters and digits such as BTCUSDT")


def to_internal(symbol: str, source: Literal["rest", "ws", "ccxt"]) -> str:
    """``BTCUSDT`` for ``BTCUSDT`` (rest), ``btcusdt`` (ws) or ``BTC/USDT:USDT`` (ccxt)."""
    match source:
        case "rest":
            internal = symbol
        case "ws":
            if symbol != symbol.lower():
                raise InvalidInputError("symbol", symbol, "a lower-case stream name such as btcusdt")
            internal = symbol.upper()
        case "ccxt":
            pair, _, settle = symbol.partition(":")
            base, slash, quote = pair.partition("/")
            if not slash or not base or settle != quote:
                raise InvalidInputError("symbol", symbol, "a linear perpetual such as BTC/USDT:USDT")
            internal = base + quote
        case _:
            assert_never(source)
    validate_internal(internal)
    return internal


def to_ws(internal: str) -> str:
    """Spelling in stream names."""
    validate_internal(internal)
    return internal.lower()


def to_rest(internal: str) -> str:
    """Spelling in REST parameters."""
    validate_internal(internal)
    return internal
