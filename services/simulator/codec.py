"""Kernel values as bytes for the decisions table (D6, D46): what is unpacked is what was packed, bit for bit.

A payload is ``PPK`` + kind + version, the sizes it needs, then the raw little-endian arrays in field order.
"""

import struct
from typing import Any

import numpy as np

from packages.common.errors import SchemaMismatchError
from services.policy.kernel import MAX_NOTES, N_TARGETS, NOTE, ROW, Barriers, PolicyParams, Rows
from services.risk.kernel import RiskParams
from services.simulator.tables import (
    ACCOUNT,
    MEMORY,
    PENDING,
    POSITION,
    RULE,
    Constants,
    Inputs,
    Params,
    State,
    new_rows,
)

FORMAT = 1  # of all payloads; bump on any change of a dtype, an order or a meaning

_HEADER = struct.Struct("<3scHII")  # magic, kind, format, symbols, a second size
_MINUTE = struct.Struct("<qqq")  # ts_ms, account flags, regime


def _head(kind: bytes, symbols: int, size: int = 0) -> bytes:
    return _HEADER.pack(b"PPK", kind, FORMAT, symbols, size)


class _Reader:
    def __init__(self, kind: bytes, payload: bytes) -> None:
        if len(payload) < _HEADER.size:
            raise SchemaMismatchError(f"payload: got {len(payload)} bytes, expected at least {_HEADER.size}")
        magic, found, version, self.symbols, self.size = _HEADER.unpack_from(payload)
        if magic != b"PPK" or found != kind or version != FORMAT:
            raise SchemaMismatchError(
                f"payload: got {magic!r}{found!r} format {version}, expected PPK{kind.decode()} format {FORMAT}"
            )
        self._payload, self._at = payload, _HEADER.size

    def take(self, dtype: Any, *shape: int) -> Any:
        kind = np.dtype(dtype)
        length = kind.itemsize * int(np.prod(shape, dtype=np.int64))
        if self._at + length > len(self._payload):
            raise SchemaMismatchError(f"payload: got {len(self._payload)} bytes, expected more")
        array = np.frombuffer(self._payload, kind, count=int(np.prod(shape, dtype=np.int64)), offset=self._at)
        self._at += length
        return array.reshape(shape).copy()

    def end(self) -> None:
        if self._at != len(self._payload):
            raise SchemaMismatchError(f"payload: got {len(self._payload)} bytes, expected {self._at}")


def pack_state(state: State) -> bytes:
    """State as bytes."""
    return _head(b"S", state.positions.size) + b"".join(array.tobytes() for array in state)


def unpack_state(payload: bytes) -> State:
    """Inverse of ``pack_state``; raises ``SchemaMismatchError`` on another format or a torn payload."""
    reader = _Reader(b"S", payload)
    n = reader.symbols
    state = State(reader.take(ACCOUNT, 1), reader.take(POSITION, n), reader.take(PENDING, n), reader.take(MEMORY, n))
    reader.end()
    return state


def pack_inputs(inputs: Inputs) -> bytes:
    """One minute of inputs as bytes."""
    head = _head(b"I", inputs.flags.size) + _MINUTE.pack(inputs.ts_ms, inputs.account_flags, inputs.regime)
    return head + b"".join(x.tobytes() for x in inputs if isinstance(x, np.ndarray))


def unpack_inputs(payload: bytes) -> Inputs:
    """Inverse of ``pack_inputs``; raises ``SchemaMismatchError``."""
    reader = _Reader(b"I", payload)
    n = reader.symbols
    ts_ms, account, regime = (int(x) for x in reader.take("<i8", 3))
    inputs = Inputs(
        ts_ms, reader.take("u1", n), account, regime, reader.take("u1", n),
        reader.take("f8", 4, n), reader.take("f8", 4, n),
        reader.take("f8", n), reader.take("f8", n), reader.take("f8", n), reader.take("f8", n),
        reader.take("f8", N_TARGETS, n), reader.take("f8", n), reader.take("i8", n),
    )  # fmt: skip
    reader.end()
    return inputs


def pack_rows(rows: Rows) -> bytes:
    """The rows of one minute as bytes; only used reasons are kept."""
    counts = rows.table["n_notes"]
    used = rows.notes[np.arange(MAX_NOTES) < counts[:, None]]
    return _head(b"R", rows.table.size, used.size) + rows.table.tobytes() + used.tobytes()


def unpack_rows(payload: bytes) -> Rows:
    """Inverse of ``pack_rows``; raises ``SchemaMismatchError``."""
    reader = _Reader(b"R", payload)
    rows = new_rows(reader.symbols)
    rows.table[:] = reader.take(ROW, reader.symbols)
    used = reader.take(NOTE, reader.size)
    reader.end()
    counts = rows.table["n_notes"]
    if counts.sum() != used.size or counts.min(initial=0) < 0 or counts.max(initial=0) > MAX_NOTES:
        raise SchemaMismatchError(f"payload: got {used.size} reasons, expected {int(counts.sum())}")
    at = 0
    for s, n in enumerate(counts):
        rows.notes[s, :n] = used[at : at + n]
        at += int(n)
    return rows


_PARTS = (Barriers, PolicyParams, RiskParams)


def pack_rules(params: Params, constants: Constants) -> bytes:
    """Parameters and constants as bytes: with state and inputs, all that a replay needs."""
    numbers = [float(constants.fee_now), float(params.halt_clears_daily)]
    for part in params[:3]:
        for value in part:
            numbers += [float(x) for x in value] if isinstance(value, tuple) else [float(value)]
    head = _head(b"C", constants.rules.size, constants.brackets.shape[1])
    return head + np.array(numbers).tobytes() + constants.rules.tobytes() + constants.brackets.tobytes()


def unpack_rules(payload: bytes) -> tuple[Params, Constants]:
    """Inverse of ``pack_rules``; raises ``SchemaMismatchError``."""
    reader = _Reader(b"C", payload)
    fee_now, clears = (float(x) for x in reader.take("f8", 2))
    barriers, policy, risk = (_take_part(reader, kind) for kind in _PARTS)
    constants = Constants(reader.take(RULE, reader.symbols), reader.take("f8", reader.symbols, reader.size, 4), fee_now)
    reader.end()
    return Params(barriers, policy, risk, bool(clears)), constants


def _take_part(reader: _Reader, kind: Any) -> Any:
    values: list[Any] = []
    for annotation in kind.__annotations__.values():
        if annotation in (int, float, bool):
            values.append(annotation(reader.take("f8", 1)[0]))
        elif annotation == tuple[int, ...]:
            values.append(tuple(int(x) for x in reader.take("f8", 9)))
        else:
            values.append(tuple(float(x) for x in reader.take("f8", 3)))
    return kind(*values)
