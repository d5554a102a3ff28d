"""Other people's packages on the bench's own material: each a process in an environment of theirs, in turn with ours.

Environments are made below VAR_DIR when ``--peers`` is first asked for, from pinned and hashed requirements
(``tests/peers``); those that agree with nobody have their own. A driver there reads the arrays, warms up, and does one
round for each line it is sent; it answers with its CPU seconds, so that reading, importing and compiling count for
nobody.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike

from apps.cli.bench.measure import Work
from apps.cli.environments import InstallError, environment
from packages.common.config import load_settings

_APART = {"nautilus_backtest": "nautilus", "freqtrade_backtest": "freqtrade"}  # environments of their own
SUITE = Path(__file__).resolve().parents[3] / "tests" / "peers"


@dataclass(frozen=True, slots=True)
class Peer:
    """A driver that has warmed up. ``name`` with its version; ``answer``: what its warm-up gave, for a look at it."""

    name: str
    answer: Any
    process: subprocess.Popen[str]

    def round(self) -> float:
        """CPU seconds of one more round."""
        _stream(self.process.stdin).write("\n")
        _stream(self.process.stdin).flush()
        return float(_read(self.process))


@contextmanager
def peer(driver: str, **material: ArrayLike) -> Iterator[Peer]:
    """The driver of this name with this material, on one thread. Raises InstallError, also when it fails."""
    of = f"-{_APART[driver]}" if driver in _APART else ""
    python = environment(SUITE / f"requirements{of}.txt", load_settings().var_dir / f"peers{of}")
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS"), "1")
    with tempfile.TemporaryDirectory() as folder:
        file, said = Path(folder) / "material.npz", Path(folder) / "errors"
        np.savez(file, **material)  # type: ignore[arg-type] # numpy takes what becomes an array
        with said.open("wb") as errors:
            process = subprocess.Popen(
                [str(python), str(SUITE / "drivers" / f"{driver}.py"), str(file)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder,
                env=os.environ | one | {"TQDM_DISABLE": "1"},
            )  # fmt: skip
        try:
            try:
                begun = _read(process)
            except EOFError as error:
                raise InstallError(f"{driver}: {said.read_text()[-1000:]}") from error
            yield Peer(begun["name"], begun["answer"], process)
        finally:
            _stream(process.stdin).close()
            process.kill()
            process.wait(10)
            _stream(process.stdout).close()


def in_turn(rounds: int, product: Work, other: Peer) -> tuple[float, float]:
    """Median CPU seconds of a round of ours and of theirs, after one of ours to warm up."""
    product()
    ours, theirs = [], []
    for _ in range(rounds):
        begin = time.process_time()
        product()
        ours.append(time.process_time() - begin)
        theirs.append(other.round())
    return statistics.median(ours), statistics.median(theirs)


def _read(process: "subprocess.Popen[str]") -> Any:
    line = _stream(process.stdout).readline()
    if not line:
        raise EOFError(f"{process.args!r} ended without an answer")
    return json.loads(line)


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
