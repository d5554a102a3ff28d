"""PostgreSQL's binary COPY format, built from numpy columns without a Python object per row.

Rows of one shape (the same fields NULL, texts of the same length) are one structured array; a chunk of history of one
symbol is one or two of them. Source of the format: PostgreSQL manual, COPY, "Binary Format".
"""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from packages.common.errors import InvalidInputError
from packages.common.tables import Column, Table

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
CHUNK_ROWS = 65_536
_EPOCH_2000_US = 946_684_800_000_000  # PostgreSQL counts microseconds from 2000-01-01
_EPOCH_2000_DAYS = 10_957
_FIXED = {
    "float8": ">f8",
    "int8": ">i8",
    "int4": ">i4",
    "int2": ">i2",
    "bool": "u1",
    "timestamptz": ">i8",
    "date": ">i4",
}


def binary_copy(table: Table, columns: Mapping[str, ArrayLike]) -> Iterator[bytes]:
    """Yield the bytes of ``COPY table (columns) FROM STDIN (FORMAT binary)``, header and trailer included.

    Columns are arrays of one length or scalars. Times are int64 epoch milliseconds or datetime64. NaN in a nullable
    float column, a masked element, ``None`` and NaT become NULL; NaN in a column that is not nullable stays NaN.
    Raises InvalidInputError for columns of different lengths, unknown names or types that do not fit.
    """
    fields = [(table.column(name), values) for name, values in columns.items()]
    n = _length(table, columns)
    yield HEADER
    for start in range(0, n, CHUNK_ROWS):
        stop = min(n, start + CHUNK_ROWS)
        yield from _chunk([_Field(table, column, values, start, stop) for column, values in fields], stop - start)
    yield TRAILER


def row_count(table: Table, columns: Mapping[str, ArrayLike]) -> int:
    """Rows that ``columns`` describe: the length of its arrays."""
    return _length(table, columns)


def _length(table: Table, columns: Mapping[str, ArrayLike]) -> int:
    lengths = {name: len(v) for name, v in columns.items() if not isinstance(v, str) and np.ndim(v) > 0}  # type: ignore[arg-type]
    if len(set(lengths.values())) != 1:
        raise InvalidInputError(f"columns of {table.name}", lengths, "arrays of one length")
    return next(iter(lengths.values()))


class _Field:
    """One column of one chunk: its bytes as fixed-width items, the width of each row and which rows are NULL."""

    __slots__ = ("data", "null", "width")

    def __init__(self, table: Table, column: Column, values: ArrayLike, start: int, stop: int) -> None:
        n = stop - start
        part = values if isinstance(values, str) or np.ndim(values) == 0 else values[start:stop]  # type: ignore[index]
        array = np.ma.asarray(part) if isinstance(part, np.ma.MaskedArray) else np.asarray(part)
        if array.ndim == 0:
            array = np.broadcast_to(array, (n,))
        label = f"{table.name}.{column.name}"
        null = np.ma.getmaskarray(array).copy() if isinstance(array, np.ma.MaskedArray) else np.zeros(n, bool)
        array = np.ma.getdata(array)
        if array.dtype == object:
            missing = np.array([v is None for v in array], bool)
            null |= missing
            filler = "" if column.pg_type == "text" else 0
            array = np.array([filler if m else v for v, m in zip(array, missing, strict=True)])
        if column.pg_type == "text":
            self.data, self.width = _text(label, array)
        elif column.pg_type in _FIXED:
            self.data, extra = _fixed(label, column, array)
            null |= extra
            self.width = np.full(n, self.data.dtype.itemsize, np.int32)
        else:
            raise InvalidInputError(
                label, column.pg_type, "a type with a fixed binary form; write such rows one by one"
            )
        if not column.nullable and null.any():
            raise InvalidInputError(label, "a missing value", "a value in every row")
        self.null = null
        self.width = np.where(null, -1, self.width).astype(np.int32)


def _text(label: str, array: NDArray[np.generic]) -> tuple[NDArray[np.generic], NDArray[np.int32]]:
    if array.dtype.kind not in "US":
        raise InvalidInputError(label, str(array.dtype), "text")
    distinct, inverse = np.unique(array, return_inverse=True)
    encoded = [str(v).encode() if array.dtype.kind == "U" else bytes(v) for v in distinct.tolist()]
    if any(b"\0" in e for e in encoded):
        raise InvalidInputError(label, "a NUL character", "text without it")
    data = np.array(encoded, dtype=f"S{max(1, max((len(e) for e in encoded), default=1))}")
    return data[inverse], np.array([len(e) for e in encoded], np.int32)[inverse]


def _fixed(label: str, column: Column, array: NDArray[np.generic]) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    kind, null = array.dtype.kind, np.zeros(array.shape, bool)
    if column.pg_type in ("timestamptz", "date"):
        if kind == "M":
            null = np.isnat(array)
            array = array.astype("datetime64[us]").astype(np.int64)
        elif kind in "iu":
            array = array.astype(np.int64) * 1_000
        else:
            raise InvalidInputError(label, str(array.dtype), "int64 epoch milliseconds or datetime64")
        if column.pg_type == "date":
            return (array // 86_400_000_000 - _EPOCH_2000_DAYS).astype(">i4"), null
        return (array - _EPOCH_2000_US).astype(">i8"), null
    if column.pg_type == "float8":
        if kind not in "fiu":
            raise InvalidInputError(label, str(array.dtype), "numbers")
        return array.astype(">f8"), np.isnan(array.astype(float)) if column.nullable else null
    if column.pg_type == "bool":
        if kind != "b":
            raise InvalidInputError(label, str(array.dtype), "booleans")
        return array.astype("u1"), null
    if kind == "f":  # an integer column that uses NaN for missing
        null = np.isnan(array)
        array = np.where(null, 0, array)
        if (array != np.floor(array)).any():
            raise InvalidInputError(label, "a fraction", "whole numbers")
    elif kind not in "iub":
        raise InvalidInputError(label, str(array.dtype), "whole numbers")
    wire = np.dtype(_FIXED[column.pg_type])
    limits = np.iinfo(wire)
    if array.size and (array.min() < limits.min or array.max() > limits.max):
        raise InvalidInputError(label, f"{array.min()}…{array.max()}", f"{column.pg_type}")
    return array.astype(wire), null


def _chunk(fields: list[_Field], n: int) -> Iterator[bytes]:
    shape = np.zeros(n, np.int64)
    for field in fields:
        low, high = int(field.width.min()), int(field.width.max())
        if low != high:
            shape = shape * (high - low + 1) + (field.width - low)
    if n and (shape != shape[0]).any():
        _, shape = np.unique(shape, return_inverse=True)  # keep it small for the next product and the loop
        order = np.argsort(shape, kind="stable")
        bounds = np.flatnonzero(np.diff(shape[order])) + 1
        for rows in np.split(order, bounds):
            yield _block(fields, rows)
    else:
        yield _block(fields, slice(0, n))


def _block(fields: list[_Field], rows: NDArray[np.intp] | slice) -> bytes:
    widths = [int(field.width[rows][0]) for field in fields]
    layout: list[tuple[str, str]] = [("n", ">i2")]
    for i, (field, width) in enumerate(zip(fields, widths, strict=True)):
        layout.append((f"l{i}", ">i4"))
        if width > 0:
            layout.append((f"v{i}", f"S{width}" if field.data.dtype.kind == "S" else field.data.dtype.str))
    out = np.empty(fields[0].width[rows].size, np.dtype(layout))
    out["n"] = len(fields)
    for i, (field, width) in enumerate(zip(fields, widths, strict=True)):
        out[f"l{i}"] = width
        if width > 0:
            out[f"v{i}"] = field.data[rows]
    return out.tobytes()
