"""Templates: text with numbers in it, printed for many rows in one compiled call."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.emulator import kernels


class Template(NamedTuple):
    """``literals[0] number literals[1] number … literals[-1]``; ``decimals`` of each number."""

    literals: tuple[bytes, ...]
    decimals: tuple[int, ...]


def template(text: str, decimals: Sequence[int]) -> Template:
    """Cut ``text`` at each ``%``: as many as there are ``decimals``."""
    literals = tuple(part.encode() for part in text.split("%"))
    if len(literals) != len(decimals) + 1:
        raise ValueError(f"text: {len(literals) - 1} places, {len(decimals)} numbers in {text!r}")
    return Template(literals, tuple(decimals))


class Sheet:
    """Templates with the same number of places, packed for the compiled printer."""

    def __init__(self, templates: Sequence[Template]) -> None:
        packed = bytearray()
        cuts = []
        for item in templates:
            row = [len(packed)]
            for literal in item.literals:
                packed += literal
                row.append(len(packed))
            cuts.append(row)
        self._literals = np.frombuffer(bytes(packed), np.uint8)
        self._cuts = np.array(cuts, np.int64)
        self._decimals = np.array([item.decimals for item in templates], np.int64)

    def print(self, which: NDArray[np.int64], values: NDArray[np.int64], *, framed: bool = False) -> bytes:
        """Rows one after the other; ``framed`` makes each a WebSocket text frame. ``values`` (rows, numbers)."""
        if len(values) == 0:
            return b""
        text, _ = kernels.render(
            self._literals, self._cuts, which, np.ascontiguousarray(values), self._decimals, framed
        )
        return text.tobytes()

    def same(self, values: NDArray[np.int64]) -> bytes:
        """Rows of template 0."""
        return self.print(np.zeros(len(values), np.int64), values)


def frame(payload: bytes) -> bytes:
    """An unmasked, final WebSocket text frame of any size (RFC 6455 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload
