"""Fit one booster at a time on all workers of a Dask cluster, by LightGBM's own data-parallel training (D36).

Each worker holds a share of the training rows and all validation rows, so that every worker sees the same validation
loss and stops at the same round. LightGBM merges histograms over sockets of its own. It cannot survive a lost peer, and
may wait for it for ever; so the fit runs in a child process of the Dask worker that can be ended, and when a worker is
lost the target starts again on those that are left.

Boosters differ from local ones, since bins are drawn from each worker's share and the leaves of a quantile are averaged
over workers: a test holds the validation loss of a target within 2 % of the local one. With one worker they are equal.
"""

import threading
from typing import Any
from urllib.parse import urlsplit

import lightgbm as lgb

from services.features.schema import KEYS
from services.training.cluster_part import ARRAYS, Share, WorkerLostError, fit_share, free_port
from services.training.dataset import Dataset
from services.training.fit import FitParams, Fitted, Progress, fit_weights, fitted_from
from services.training.splits import Split
from services.training.targets import Target, learned_values

_POLL_S = 0.25
_ATTEMPTS = 4  # of a target: three lost workers in one fit are a broken cluster


def fit_targets_on_cluster(
    client: Any, dataset: Dataset, split: Split, targets: tuple[Target, ...], params: FitParams, progress: Progress
) -> tuple[Fitted, ...]:
    """As ``fit.fit_targets``, on the workers of ``client``; ``num_threads`` counts on each. Raises ``WorkerLostError``
    when a target could not be fitted in four attempts."""
    out = []
    for number, target in enumerate(targets):
        for attempt in range(_ATTEMPTS):
            progress(number / len(targets), f"training {target.name} on {len(_workers(client))} workers")
            try:
                out.append(_fit(client, dataset, split, target, params, progress, number / len(targets)))
                break
            except WorkerLostError:
                if attempt == _ATTEMPTS - 1 or not _workers(client):
                    raise
                threading.Event().wait(1.0 + attempt)  # until the scheduler has counted its workers again
    progress(1.0, "models fitted")
    return tuple(out)


def _fit(
    client: Any, dataset: Dataset, split: Split, target: Target, params: FitParams, progress: Progress, begin: float
) -> Fitted:
    from distributed import Event

    workers = _workers(client)
    ports: dict[str, int] = {}
    for rank, worker in enumerate(workers):
        ports |= client.run(free_port, rank, len(workers), workers=[worker])
    if not workers or set(ports) != set(workers):
        raise WorkerLostError("the cluster lost its workers")
    machines = ",".join(f"{urlsplit(worker).hostname}:{ports[worker]}" for worker in workers)
    stop: Any = Event(client=client)
    futures = {}
    try:
        for rank, worker in enumerate(workers):
            options = params.for_target(target)
            if len(workers) > 1:
                options |= {"machines": machines, "num_machines": len(workers), "local_listen_port": ports[worker]}
                options |= {"tree_learner": "data", "pre_partition": True, "time_out": 2}
            # In a list: a dict's own keys would become Dask's keys, the same for every share, target and attempt.
            [share] = client.scatter([_share(dataset, split, target, rank, len(workers))], workers=[worker], hash=False)
            # A key of its own for each attempt: the task of the one before may still be ending on its worker, and Dask
            # would wait for that one's result, which never comes.
            futures[worker] = client.submit(
                fit_share, share, options, params.max_rounds, params.early_stopping_rounds, KEYS, stop,
                workers=[worker], pure=False, retries=0, key=f"fit-{target.name}-{rank}-{stop.name}",
            )  # fmt: skip
        texts = _gather(client, futures, lambda: progress(begin, f"training {target.name} on the cluster"))
    finally:
        stop.set()  # of no consequence when all have ended
        client.cancel(list(futures.values()))
    booster = lgb.Booster(model_str=texts[workers[0]]["text"])
    return fitted_from(booster, target, booster.current_iteration(), texts[workers[0]]["loss"])


def _gather(client: Any, futures: dict[str, Any], beat: Any) -> dict[str, dict[str, Any]]:
    """Results by worker; ``WorkerLostError`` as soon as one failed or its worker is gone."""
    while True:
        beat()
        gone = set(futures) - set(_workers(client))
        failed = [worker for worker, future in futures.items() if future.status in ("error", "lost", "cancelled")]
        if gone or failed:
            reasons = [str(futures[worker].exception()) for worker in failed if futures[worker].status == "error"]
            raise WorkerLostError(f"worker {', '.join(sorted(gone) or failed)} was lost in a fit: {'; '.join(reasons)}")
        if all(future.status == "finished" for future in futures.values()):
            return dict(zip(futures, client.gather(list(futures.values())), strict=True))
        threading.Event().wait(_POLL_S)


def _share(dataset: Dataset, split: Split, target: Target, rank: int, count: int) -> Share:
    """Every ``count``-th training row: each worker sees all times and symbols."""
    rows = split.train[rank::count]
    labels, uniqueness = dataset.side(target.side)
    weights = fit_weights(uniqueness, split.train)
    learned = learned_values(target, labels, dataset.scale)
    train = (dataset.inputs[rows], learned[rows], weights[rows])
    valid = (dataset.inputs[split.valid], learned[split.valid], weights[split.valid])
    return dict(zip(ARRAYS, train + valid, strict=True))


def _workers(client: Any) -> list[str]:
    return sorted(client.scheduler_info(n_workers=-1)["workers"])
