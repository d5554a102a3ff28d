"""Columns straight from binary COPY into numpy: no Python object a value, an order of magnitude over row fetching."""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection

TEXT = 32  # bytes of a text column; see `text_sql`
_KINDS = {"f8": ">f8", "i8": ">i8", "text": f"S{TEXT}"}
_HEADER = 19  # signature, flags, length of the extension

Columns = dict[str, NDArray[Any]]


def text_sql(expression: LiteralString) -> LiteralString:
    """SQL of a short ASCII text as a fixed-width value, '?' where it is not ASCII; NULL is empty."""
    return (
        f"rpad(CASE WHEN octet_length({expression}) = length({expression}) THEN left({expression}, {TEXT}) "
        f"WHEN {expression} IS NULL THEN '' ELSE '?' END, {TEXT})"
    )


def millis_sql(expression: LiteralString) -> LiteralString:
    """SQL of a TIMESTAMPTZ as epoch milliseconds, bigint."""
    return f"(extract(epoch FROM {expression}) * 1000)::bigint"


async def fetch_columns(
    conn: AsyncConnection[Any], query: LiteralString, params: Mapping[str, Any], kinds: Sequence[tuple[str, str]]
) -> Columns:
    """Run ``query`` and return its columns by name.

    ``kinds``: (name, "f8" | "i8" | "text") in the order of the select list; floats must be float8 and integers bigint.
    No column may be NULL: COALESCE floats to 'NaN', text goes through ``text_sql``. Raises ``ValueError`` otherwise.
    """
    buffer = bytearray()
    async with conn.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)", params) as copy:
        async for chunk in copy:
            buffer += chunk
    fields: list[tuple[str, str]] = [("_count", ">i2")]
    for name, kind in kinds:
        fields += [(f"_{name}", ">i4"), (name, _KINDS[kind])]
    row = np.dtype(fields)
    body = memoryview(buffer)[_HEADER:-2]  # a trailer of two bytes
    if len(body) % row.itemsize:
        raise ValueError(
            f"columns: got {len(body)} bytes, expected rows of {row.itemsize}; a column is NULL or mistyped"
        )
    rows = np.frombuffer(body, dtype=row)
    for name, _ in kinds:
        if (rows[f"_{name}"] != row[name].itemsize).any():
            raise ValueError(f"columns: {name} is NULL or mistyped")
    return {name: _native(rows[name], kind) for name, kind in kinds}


def _native(column: NDArray[Any], kind: str) -> NDArray[Any]:
    return column.copy() if kind == "text" else column.astype(kind)


def texts(column: NDArray[np.bytes_]) -> list[str | None]:
    """A text column as strings; empty is None."""
    return [text.rstrip().decode("ascii") or None for text in column.tolist()]
