"""Parameters of requests: instants, spans, symbols, cursors. Each refusal names field, value and expectation."""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import Depends, Path, Query
from starlette.requests import HTTPConnection

from packages.common.errors import InvalidInputError
from packages.common.symbol_map import validate_internal
from packages.common.time import DAY_MS, from_datetime, to_datetime

MAX_SPAN_MS = 400 * DAY_MS  # the default retention of the operational store
EARLIEST_MS, LATEST_MS = 1_420_070_400_000, 4_102_444_800_000  # 2015 … 2100
_DIGITS = re.compile(r"^\d{1,15}$")
_INSTANT = "ISO-8601 with a time zone such as 2026-01-31T23:59:00Z, or epoch milliseconds"

AccountMode = Literal["shadow", "live"]
Mode = Annotated[AccountMode, Query(description="Which account: the shadow account always runs (D33).")]
From = Annotated[
    str | None,
    Query(alias="from", max_length=40, description=f"Start, inclusive: {_INSTANT}.", examples=["1767225600000"]),
]
To = Annotated[
    str | None, Query(max_length=40, description=f"End, exclusive: {_INSTANT}.", examples=["2026-01-01T12:00:00Z"])
]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=500, description="Rows of a page.")]
SymbolPath = Annotated[str, Path(max_length=60, description="Internal name.", examples=["BTCUSDT"])]
SymbolFilter = Annotated[
    str | None, Query(alias="symbol", max_length=60, description="Only this symbol.", examples=["BTCUSDT"])
]


def known_queries(document: dict[str, Any]) -> dict[str, dict[str, bool]]:
    """Query parameters of each operation of an OpenAPI document, and whether each may be given several times."""
    return {
        operation["operationId"]: {
            one["name"]: "array" in str(one["schema"])
            for one in operation.get("parameters", ())
            if one["in"] == "query"
        }
        for item in document["paths"].values()
        for operation in item.values()
    }


def only_known(connection: HTTPConnection) -> None:
    """Refuse a query parameter that the operation does not have, or one given twice: a misspelt bound would count for
    nothing, and the answer look like what was asked for."""
    known = connection.app.state.queries.get(getattr(connection.scope["route"], "operation_id", None))
    if known is None:  # the socket, and what is for machines
        return
    seen: set[str] = set()
    for name, value in connection.query_params.multi_items():
        if name not in known:
            raise InvalidInputError(name[:40], value, f"one of the parameters {', '.join(sorted(known)) or '(none)'}")
        if name in seen and not known[name]:
            raise InvalidInputError(name, value, "one value")
        seen.add(name)


class Span(NamedTuple):
    """[from_ms, to_ms) in epoch milliseconds."""

    from_ms: int
    to_ms: int


def instant(field: str, text: str) -> int:
    """Epoch milliseconds of ``text``; raises ``InvalidInputError`` naming ``field``."""
    try:
        ts_ms = int(text) if _DIGITS.match(text) else from_datetime(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as exc:
        raise InvalidInputError(field, text, _INSTANT) from exc
    if not EARLIEST_MS <= ts_ms <= LATEST_MS:
        raise InvalidInputError(field, text, "an instant from 2015 to 2100")
    return ts_ms


def span(from_: str | None, to: str | None, *, newest_ms: int, default_ms: int, max_ms: int = MAX_SPAN_MS) -> Span:
    """The asked span, of ``max_ms`` at most; ``to`` defaults to ``newest_ms``, ``from`` to ``default_ms`` before it."""
    to_ms = newest_ms if to is None else instant("to", to)
    from_ms = to_ms - default_ms if from_ is None else instant("from", from_)
    if from_ms >= to_ms:
        raise InvalidInputError("from", from_ or from_ms, f"an instant before to ({to_ms})")
    if to_ms - from_ms > max_ms:
        raise InvalidInputError("from", from_ or from_ms, f"at most {max_ms // DAY_MS} days before to")
    return Span(from_ms, to_ms)


def list_span(from_: str | None, to: str | None) -> Span:
    """Lists are bounded by their pages, not by their span: any part of history may be walked."""
    asked = Span(
        EARLIEST_MS if from_ is None else instant("from", from_), LATEST_MS if to is None else instant("to", to)
    )
    if asked.from_ms >= asked.to_ms:
        raise InvalidInputError("from", from_ or asked.from_ms, f"an instant before to ({asked.to_ms})")
    return asked


def symbol_name(text: str) -> str:
    """``text`` if it is spelled like a symbol."""
    validate_internal(text)
    return text


@dataclass(frozen=True, slots=True)
class Rows:
    """A page of a list of the past."""

    span: Span
    symbol: str | None
    cursor: str | None
    limit: int

    @property
    def values(self) -> dict[str, Any]:
        """For a query: the span, the symbol, and one row more than asked for, which tells of a following page."""
        span = {"from": to_datetime(self.span.from_ms), "to": to_datetime(self.span.to_ms)}
        return {**span, "symbol": self.symbol, "rows": self.limit + 1}


def _rows(
    from_: From = None, to: To = None, symbol: SymbolFilter = None, cursor: Cursor = None, limit: Limit = 100
) -> Rows:
    return Rows(list_span(from_, to), None if symbol is None else symbol_name(symbol), cursor, limit)


AskedRows = Annotated[Rows, Depends(_rows)]


def encode_cursor(*parts: int | str) -> str:
    """An opaque place in a list."""
    return base64.urlsafe_b64encode("|".join(str(part) for part in parts).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, kinds: tuple[type[int] | type[str], ...]) -> tuple[int | str, ...]:
    """The parts of a cursor made by ``encode_cursor``; integers within 64 bits."""
    expected = "the next_cursor of the page before"
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as exc:
        raise InvalidInputError("cursor", cursor, expected) from exc
    parts = text.split("|")
    if len(parts) != len(kinds) or "\0" in text:
        raise InvalidInputError("cursor", cursor, expected)
    values: list[int | str] = []
    for part, kind in zip(parts, kinds, strict=True):
        if kind is str:
            values.append(part)
        elif re.match(r"^-?\d{1,18}$", part):
            values.append(int(part))
        else:
            raise InvalidInputError("cursor", cursor, expected)
    return tuple(values)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def cursor_instant(micros: int | str) -> datetime:
    """The instant in a cursor, which keeps the database's microseconds."""
    if not isinstance(micros, int) or not EARLIEST_MS <= micros // 1000 <= LATEST_MS:
        raise InvalidInputError("cursor", micros, "the next_cursor of the page before")
    return _EPOCH + timedelta(microseconds=micros)
