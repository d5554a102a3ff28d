"""Compilation of kernels: strict IEEE floats, no Python objects, cached on disk by the content of the sources."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

from packages.common.kernel_sources import cache_folder

P = ParamSpec("P")
R = TypeVar("R")

numba.config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]


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
