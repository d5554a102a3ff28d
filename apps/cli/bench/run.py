"""Which areas there are, and one run over some of them."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from itertools import chain
from typing import Any, Final

from apps.cli.bench.measure import Figure, Plan
from packages.common.errors import InvalidInputError

AREAS: Final = (
    *("labels", "features", "backtest", "dataset", "training", "inference", "store", "ingest", "sockets", "minute"),
    *("serve", "execution", "growth", "walkforward"),
)


def run(area: str, plan: Plan, *, peers: bool = False) -> Iterator[dict[str, Any]]:
    """Rows of ``area`` (or of ``all``) as they are taken. One thread, unless a row says otherwise.

    ``peers``: after them those against other people's packages, where the area has any; InstallError without these.
    """
    if area not in (*AREAS, "all"):
        raise InvalidInputError("area", area, "all, or one of " + ", ".join(AREAS))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before LightGBM: its threads must not spin beside ours
    if area == "all":
        _import_lightgbm_alone()
    for name in AREAS if area == "all" else (area,):
        module = importlib.import_module(f"apps.cli.bench.{name}")
        figures: Iterator[Figure] = module.measure(plan)
        if peers and hasattr(module, "peers"):
            figures = chain(figures, module.peers(plan))
        while True:
            with redirect_stdout(sys.stderr):  # what the product logs; standard output is for the rows
                figure = next(figures, None)
            if figure is None:
                break
            yield figure.row()


def _import_lightgbm_alone() -> None:
    """Without what it loads if it can: four seconds of a quick run."""
    hidden = {"sklearn", "dask"} - set(sys.modules)
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    importlib.import_module("lightgbm")
    for name in hidden:
        del sys.modules[name]
