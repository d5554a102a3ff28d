"""Which sources are compiled, and where the compiler keeps what it made of them, without the compiler: its import takes
longer than all of this.

Numba's own cache looks only at the file of the outermost function, so after an edit of a callee it would run the old
rule. Money must not: the cache folder is named by a hash of every source a kernel can stand in.
"""

import functools
import hashlib
import os
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
# Where a kernel, or a constant a kernel is compiled with, can stand: whole folders, and files that define kernels.
_PURE = tuple(f"services/{name}" for name in ("features", "labeling", "policy", "risk", "simulator"))
_MIXED = ("packages/common", *(f"services/{name}" for name in ("backtest", "training", "inference", "emulator", "rl")))
_CONSTANTS = ("packages/common/reasons.py", "packages/common/jit.py")


def _sources() -> Iterator[Path]:
    for folder in _PURE:
        yield from sorted((_ROOT / folder).glob("*.py"))
    for folder in _MIXED:
        for path in sorted((_ROOT / folder).glob("*.py")):
            if any(mark in path.read_bytes() for mark in (b"@kernel", b"@inlined")):
                yield path
    yield from (_ROOT / name for name in _CONSTANTS)


@functools.cache
def sources_hash() -> str:
    """Of the compiler's version and every kernel's source: equal hashes, equal arithmetic."""
    digest = hashlib.sha256(version("numba").encode())
    for path in _sources():
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Beside the sources, or in the temporary folder where those cannot be written to; one a hash."""
    if "NUMBA_CACHE_DIR" in os.environ:
        return Path(os.environ["NUMBA_CACHE_DIR"])
    base = _ROOT / ".cache" / "numba"
    if not os.access(_ROOT, os.W_OK):
        base = Path(tempfile.gettempdir()) / f"perpilot-numba-{os.getuid()}"
    return base / sources_hash()
