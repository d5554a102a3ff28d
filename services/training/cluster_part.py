"""One worker's part of a booster, as a process of its own: ``python -m services.training.cluster_part FOLDER``.

It loads nothing but LightGBM, because it is started once a target and worker.
"""

import json
import os
import sys
import threading
from pathlib import Path

import lightgbm as lgb
import numpy as np

ARRAYS = ("train", "label", "weight", "valid", "valid_label", "valid_weight")


def fit(folder: Path) -> None:
    """``share.npz`` and ``plan.json`` → ``fitted.json``: the text of the best round and its validation loss."""
    plan = json.loads((folder / "plan.json").read_text())
    threading.Thread(target=_end_with, args=(plan["parent"],), daemon=True).start()
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
