"""One worker's part of a booster: what runs in the Dask worker, and the process it starts for LightGBM,
``python -m services.training.cluster_part FOLDER``.

Neither loads more than it needs: they are started once a worker, and once a target and worker.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import StoreUnavailableError

ARRAYS = ("train", "label", "weight", "valid", "valid_label", "valid_weight")
Share = dict[str, NDArray[np.float64]]  # what one worker fits on, by ARRAYS
_POLL_S = 0.25
_PORTS = range(12_400, 32_000)  # below those that systems give to outgoing connections, which would take one in between
_COMPANIONS = ("sklearn", "dask", "pandas", "pyarrow", "matplotlib", "graphviz")  # LightGBM loads them if it can


class WorkerLostError(StoreUnavailableError):
    """A worker left in the middle of a fit, or its part of it failed."""


def free_port(rank: int, count: int) -> int:
    """A port that nothing listens on now and that none of the other ``count`` workers is given, were they all on one
    machine. A port of a fit that has just ended may still be taken, so each process begins to look elsewhere."""
    ports = _PORTS[rank::count]
    begin = os.getpid() * 16 % len(ports)
    for offset in range(len(ports)):
        port = ports[(begin + offset) % len(ports)]
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise WorkerLostError(f"no free port between {_PORTS.start} and {_PORTS.stop}")


def fit_share(
    share: Share, options: dict[str, Any], rounds: int, patience: int, names: Sequence[str], stop: Any
) -> dict[str, Any]:
    """Run the child, end it when the others are to stop; the text of its booster and the validation loss."""
    with tempfile.TemporaryDirectory(prefix="perpilot-fit-") as folder:
        np.savez(Path(folder, "share.npz"), allow_pickle=False, **share)
        plan = {"options": options, "rounds": rounds, "patience": patience, "names": names, "parent": os.getpid()}
        Path(folder, "plan.json").write_text(json.dumps(plan))
        log = Path(folder, "log")
        with log.open("wb") as sink:
            child = subprocess.Popen(
                [sys.executable, "-m", "services.training.cluster_part", folder],
                cwd=Path(__file__).resolve().parents[2], stdout=sink, stderr=sink,
            )  # fmt: skip
        try:
            while child.poll() is None:
                if stop.wait(timeout=_POLL_S):
                    raise WorkerLostError("stopped: another worker was lost")
        finally:
            child.kill()
            child.wait()
        if child.returncode != 0:
            raise WorkerLostError(log.read_text(errors="replace")[-500:].strip() or f"exit status {child.returncode}")
        found: dict[str, Any] = json.loads(Path(folder, "fitted.json").read_text())
        return found


# --- in the child ---------------------------------------------------------------------------------------------------


def fit(folder: Path) -> None:
    """``share.npz`` and ``plan.json`` → ``fitted.json``: the text of the best round and its validation loss."""
    plan = json.loads((folder / "plan.json").read_text())
    threading.Thread(target=_end_with, args=(plan["parent"],), daemon=True).start()
    sys.modules.update(dict.fromkeys(_COMPANIONS))  # type: ignore[arg-type] # None: not there; four seconds less
    import lightgbm as lgb

    with np.load(folder / "share.npz") as file:
        share = {name: file[name] for name in ARRAYS}
    options = plan["options"]
    train = lgb.Dataset(
        share["train"], share["label"], weight=share["weight"], feature_name=plan["names"], params=options
    )
    valid = train.create_valid(share["valid"], share["valid_label"], weight=share["valid_weight"], params=options)
    booster = lgb.train(
        options, train, num_boost_round=plan["rounds"], valid_sets=[valid], valid_names=["valid"],
        callbacks=[lgb.early_stopping(plan["patience"], verbose=False)], keep_training_booster=True,
    )  # fmt: skip
    best = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
    loss = booster.best_score["valid"][options["metric"]]
    (folder / "fitted.json").write_text(json.dumps({"text": booster.model_to_string(num_iteration=best), "loss": loss}))


def _end_with(parent: int) -> None:
    """A killed worker leaves this process behind, which would hold the port and wait for its peers for ever."""
    while os.getppid() == parent:
        threading.Event().wait(0.5)
    os._exit(1)


if __name__ == "__main__":
    fit(Path(sys.argv[1]))
