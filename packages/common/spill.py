"""Rows the database could not take, kept on disk in order until it can (D7).

A folder holds numbered segments; a segment is a sequence of frames ``length, crc32, payload``. A frame torn by a kill
was never reported as kept and is ignored.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from packages.common.errors import StoreUnavailableError
from packages.common.rows import Encoded

_FRAME = struct.Struct("<II")
_SEGMENT_BYTES = 16 << 20


_ENCODER = msgspec.msgpack.Encoder()


class Batch(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Encoded rows of one table with the same columns, in the order they were put."""

    table: str
    columns: tuple[str, ...]
    rows: list[Encoded]


_DECODER = msgspec.msgpack.Decoder(Batch)


class Spill:
    """The queue on disk of one writer. One process at a time: a second one is refused."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self._lock.close()
            raise StoreUnavailableError(f"{folder} is in use by another process") from exc
        self._file: IO[bytes] | None = None
        names = self.segments()
        self._next = int(names[-1].stem) + 1 if names else 1

    def segments(self) -> list[Path]:
        """Segments on disk, oldest first."""
        return sorted(self._folder.glob("*.spill"))

    @property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.segments())

    def append(self, batches: list[Batch]) -> None:
        """Keep ``batches``; they are on the disk when this returns. Raises OSError when the disk takes no more."""
        file = self._file
        if file is None or file.tell() > _SEGMENT_BYTES:
            file = self._open_segment()
        start = file.tell()
        try:
            for batch in batches:
                payload = _ENCODER.encode(batch)
                file.write(_FRAME.pack(len(payload), zlib.crc32(payload)) + payload)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            self.seal()
            os.truncate(self.segments()[-1], start)  # or the caller's second try would keep the rows twice
            raise

    def read(self, segment: Path) -> Iterator[Batch]:
        """Frames of one segment, up to the first torn one. Raises StoreUnavailableError for rows of another form."""
        data = memoryview(segment.read_bytes())
        at = 0
        while at + _FRAME.size <= len(data):
            length, crc = _FRAME.unpack_from(data, at)
            payload = data[at + _FRAME.size : at + _FRAME.size + length]
            if len(payload) < length or zlib.crc32(payload) != crc:
                return
            batch = _DECODER.decode(payload)
            if any(len(row) != len(batch.columns) for row in batch.rows):
                raise StoreUnavailableError(f"{segment} holds rows as another version wrote them")
            yield batch
            at += _FRAME.size + length

    def remove(self, segment: Path) -> None:
        """Forget a segment whose rows are in the database."""
        self.seal()
        segment.unlink()
        self._sync_folder()

    def seal(self) -> None:
        """End the open segment; the next ``append`` starts another."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def close(self) -> None:
        self.seal()
        self._lock.close()

    def _open_segment(self) -> IO[bytes]:
        self.seal()
        self._file = (self._folder / f"{self._next:012d}.spill").open("xb")
        self._next += 1
        self._sync_folder()
        return self._file

    def _sync_folder(self) -> None:
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
