"""Compilation of kernels: strict IEEE floats, no Python objects, cached on disk by the content of the sources.

Numba's own cache looks only at the file of the outermost function, so after an edit of a callee it would run the old
rule. Money must not: the cache folder is named by a hash of every source a kernel can stand in.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")

_ROOT = Path(__file__).resolve().parents[2]
_KERNEL_FOLDERS = (
    "packages/common",
    *(f"services/{name}" for name in ("features", "labeling", "policy", "risk", "simulator", "backtest")),
    *(f"services/{name}" for name in ("training", "inference", "rl")),
)


def _cache_folder() -> Path:
    digest = hashlib.sha256(numba.__version__.encode())
    for folder in _KERNEL_FOLDERS:
        for path in sorted((_ROOT / folder).glob("*.py")):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    base = _ROOT / ".cache" / "numba"
    if not os.access(_ROOT, os.W_OK):
        base = Path(tempfile.gettempdir()) / f"perpilot-numba-{os.getuid()}"
    return base / digest.hexdigest()[:16]


if "NUMBA_CACHE_DIR" not in os.environ:
    numba.config.CACHE_DIR = str(_cache_folder())  # type: ignore[attr-defined]


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` for the hot path: no fast-math (bitwise reproducible), division by zero gives inf or NaN,
    the GIL released, machine code kept on disk."""
    compiled: Callable[P, R] = numba.njit(cache=True, nogil=True, fastmath=False, error_model="numpy")(function)
    return compiled
