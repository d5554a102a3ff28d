"""Rows in PostgreSQL's binary form, for rows that come one by one and for types without a fixed width.

A row is encoded when it is put: what cannot be stored is refused at the caller's line, and the same bytes go to the
disk, into COPY or arrays and, for the key, into the search for duplicates. COPY takes a row's fields one after another,
an array takes a column's: the form of a field (its length, then its bytes) is the same in both.
"""

import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import orjson

from packages.common.errors import InvalidInputError
from packages.common.tables import Column, Table

Row = Mapping[str, Any] | Sequence[Any]

_NULL = b"\xff\xff\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_MS = 946_684_800_000
_DAY0 = date(2000, 1, 1)
_TEXT_OID = 25
_OID = {
    "bool": 16, "bytea": 17, "int8": 20, "int2": 21, "int4": 23, "text": 25, "text[]": 25, "float8": 701, "date": 1082,
    "timestamptz": 1184, "uuid": 2950, "jsonb": 3802,
}  # of an array's elements; pg_type.dat  # fmt: skip
_TICK = timedelta(microseconds=1)

_float8 = struct.Struct(">id").pack
_int8 = struct.Struct(">iq").pack
_int4 = struct.Struct(">ii").pack
_int2 = struct.Struct(">ih").pack
_length = struct.Struct(">i").pack


def _whole(value: Any) -> int:
    number = int(value)
    if number != value or isinstance(value, str):
        raise ValueError
    return number


def _timestamptz(value: Any) -> bytes:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError
        return _int8(8, (value - _EPOCH) // _TICK)
    return _int8(8, (_whole(value) - _EPOCH_MS) * 1_000)


def _date(value: Any) -> bytes:
    if isinstance(value, datetime):
        raise TypeError
    day = value if isinstance(value, date) else datetime.fromtimestamp(_whole(value) / 1e3, tz=UTC).date()
    return _int4(4, (day - _DAY0).days)


def _text(value: Any) -> bytes:
    data: bytes = str.encode(value)
    if b"\0" in data:
        raise ValueError
    return _length(len(data)) + data


def _bytea(value: Any) -> bytes:
    data = bytes(memoryview(value))
    return _length(len(data)) + data


def _jsonb(value: Any) -> bytes:
    data = value if isinstance(value, bytes) else orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    return _length(len(data) + 1) + b"\x01" + data


def _text_array(value: Any) -> bytes:
    if isinstance(value, str):
        raise TypeError
    items = [_text(item) for item in value]
    data = struct.pack(">iii", int(bool(items)), 0, _TEXT_OID)
    if items:
        data += struct.pack(">ii", len(items), 1) + b"".join(items)
    return _length(len(data)) + data


_ESCAPED = re.compile(rb'["\\]')
_ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "text": _text,
    "float8": lambda value: _float8(8, value),
    "int8": lambda value: _int8(8, _whole(value)),
    "int4": lambda value: _int4(4, _whole(value)),
    "int2": lambda value: _int2(2, _whole(value)),
    "bool": lambda value: {True: b"\0\0\0\1\1", False: b"\0\0\0\1\0"}[value],
    "timestamptz": _timestamptz,
    "date": _date,
    "jsonb": _jsonb,
    "bytea": _bytea,
    "text[]": _text_array,
    "uuid": lambda value: _length(16) + (value if isinstance(value, UUID) else UUID(value)).bytes,
}
_EXPECTED = {
    "timestamptz": "epoch milliseconds or an aware datetime",
    "date": "a date or epoch milliseconds",
    "jsonb": "a JSON value or its bytes",
    "text": "a str without NUL",
}


Encoded = tuple[bytes, ...]  # the fields of one row, in the order of its shape


class Shape:
    """How rows of one table with one set of columns are encoded."""

    def __init__(self, table: Table, names: tuple[str, ...]) -> None:
        self.table, self.names = table, names
        columns = [table.column(name) for name in names]
        for column in table.columns:
            if column.name not in names and not column.nullable and not column.has_default:
                raise InvalidInputError(f"{table.name}.{column.name}", "no value", "a value in every row")
        missing = [name for name in table.key if name not in names and not table.column(name).nullable]
        if missing:
            raise InvalidInputError(f"key of {table.name}", names, ", ".join(table.key))
        self._plan = [(column, _ENCODERS[column.pg_type]) for column in columns]

    def encode(self, values: Iterable[Any]) -> Encoded:
        """Encode values in the order of ``names``. Raises InvalidInputError with the column, value and expectation."""
        fields = []
        for (column, encoder), value in zip(self._plan, values, strict=True):
            if value is None or (value != value and column.nullable):  # noqa: PLR0124 - NaN is NULL where that is allowed
                if not column.nullable:
                    raise InvalidInputError(f"{self.table.name}.{column.name}", value, "a value in every row")
                fields.append(_NULL)
                continue
            try:
                fields.append(encoder(value))
            except (TypeError, ValueError, KeyError, OverflowError, AttributeError, struct.error) as exc:
                expected = _EXPECTED.get(column.pg_type, f"a value for {column.pg_type}")
                raise InvalidInputError(f"{self.table.name}.{column.name}", value, expected) from exc
        return tuple(fields)


@cache
def shape_of(table: Table, names: tuple[str, ...]) -> Shape:
    """The shape of rows with these columns, in the spec's order."""
    unknown = [name for name in names if name not in {c.name for c in table.columns}]
    if unknown:
        table.column(unknown[0])
    return Shape(table, tuple(c.name for c in table.columns if c.name in names))


def encode_row(table: Table, row: Row) -> tuple[Shape, Encoded]:
    """Encode a mapping, or a sequence in the order of the table's spec."""
    if isinstance(row, Mapping):
        shape = shape_of(table, tuple(row))
        return shape, shape.encode([row[name] for name in shape.names])
    if len(row) != len(table.columns):
        raise InvalidInputError(f"row of {table.name}", f"{len(row)} values", f"{len(table.columns)} values")
    shape = shape_of(table, tuple(c.name for c in table.columns))
    return shape, shape.encode(row)


def copy_row(row: Encoded) -> bytes:
    """The row as binary COPY takes it."""
    return struct.pack(">h", len(row)) + b"".join(row)


def arrays(table: Table, names: Sequence[str], rows: Sequence[Encoded]) -> list[bytes]:
    """One binary array a column. Arrays of arrays have no rows of different lengths: theirs are arrays of literals."""
    out = []
    for name, fields in zip(names, zip(*rows, strict=True), strict=True):
        pg_type = table.column(name).pg_type
        items = map(_array_literal, fields) if pg_type == "text[]" else fields
        out.append(struct.pack(">iiiii", 1, 0, _OID[pg_type], len(rows), 1) + b"".join(items))
    return out


def _array_literal(field: bytes) -> bytes:
    if field == _NULL:
        return field
    items = (_ESCAPED.sub(rb"\\\g<0>", item) for item in _array_items(field[4:]))
    return _text("{" + ",".join(f'"{item.decode()}"' for item in items) + "}")


def _array_items(data: bytes) -> list[bytes]:
    items, at = [], 20  # behind dimensions, flag, type, length and lower bound
    while at < len(data):
        (length,) = struct.unpack_from(">i", data, at)
        items.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return items


def decode_row(table: Table, names: Sequence[str], row: Encoded) -> dict[str, Any]:
    """The values of an encoded row, JSON-able, for the report on a refused one."""
    return {
        name: None if field == _NULL else _decode(table.column(name), field[4:])
        for name, field in zip(names, row, strict=True)
    }


def _decode(column: Column, field: bytes) -> Any:
    match column.pg_type:
        case "text":
            return field.decode()
        case "float8":
            return struct.unpack(">d", field)[0]
        case "int8" | "int4" | "int2":
            return int.from_bytes(field, "big", signed=True)
        case "bool":
            return field != b"\0"
        case "timestamptz":
            return (_EPOCH + int.from_bytes(field, "big", signed=True) * _TICK).isoformat()
        case "date":
            return (_DAY0 + timedelta(days=int.from_bytes(field, "big", signed=True))).isoformat()
        case "jsonb":
            return field[1:].decode()
        case "uuid":
            return str(UUID(bytes=field))
        case "text[]":
            return [item.decode() for item in _array_items(field)]
        case _:
            return field.hex()


def months_of_rows(names: Sequence[str], rows: Iterable[Encoded]) -> set[date]:
    """First days of the UTC months of the rows' ``ts``."""
    at = names.index("ts")
    times = {row[at] for row in rows}
    when = [_EPOCH + int.from_bytes(field[4:], "big", signed=True) * _TICK for field in times]
    return {date(moment.year, moment.month, 1) for moment in when}
