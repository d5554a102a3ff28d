"""Compilation of kernels: strict IEEE floats, no Python objects, cached on disk by the content of the sources.

Numba's own cache looks only at the file of the outermost function, so after an edit of a callee it would run the old
rule. Money must not: the cache folder is named by a hash of every source a kernel can stand in.
"""

import functools
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")

_ROOT = Path(__file__).resolve().parents[2]
# Where a kernel, or a constant a kernel is compiled with, can stand: whole folders, and files that define kernels.
_PURE = tuple(f"services/{name}" for name in ("features", "labeling", "policy", "risk", "simulator"))
_MIXED = ("packages/common", *(f"services/{name}" for name in ("backtest", "training", "inference", "emulator", "rl")))
_CONSTANTS = ("packages/common/reasons.py",)


def _sources() -> Iterator[Path]:
    for folder in _PURE:
        yield from sorted((_ROOT / folder).glob("*.py"))
    for folder in _MIXED:
        for path in sorted((_ROOT / folder).glob("*.py")):
            if b"@kernel" in path.read_bytes():
                yield path
    yield from (_ROOT / name for name in _CONSTANTS)


@functools.cache
def sources_hash() -> str:
    """Of the compiler's version and every kernel's source: equal hashes, equal arithmetic."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in _sources():
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _cache_folder() -> Path:
    base = _ROOT / ".cache" / "numba"
    if not os.access(_ROOT, os.W_OK):
        base = Path(tempfile.gettempdir()) / f"perpilot-numba-{os.getuid()}"
    return base / sources_hash()


if "NUMBA_CACHE_DIR" not in os.environ:
    numba.config.CACHE_DIR = str(_cache_folder())  # type: ignore[attr-defined]


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` for the hot path: no fast-math (bitwise reproducible), division by zero gives inf or NaN,
    the GIL released, machine code kept on disk."""
    compiled: Callable[P, R] = numba.njit(cache=True, nogil=True, fastmath=False, error_model="numpy")(function)
    return compiled


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """As ``kernel``, and put into each compiled caller: for glue that would hand thirty arrays to one call after the
    other, word by word over the stack."""
    compiled: Callable[P, R] = numba.njit(
        cache=True, nogil=True, fastmath=False, error_model="numpy", forceinline=True
    )(function)
    return compiled
