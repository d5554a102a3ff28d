"""Every kind of job: a name and a thin call into a service (§18.1). Heavy imports wait until a job needs them."""

from collections.abc import Callable, Mapping
from typing import Any

from apps.worker_batch.context import JobContext

Handler = Callable[[JobContext], Mapping[str, Any]]


def _bootstrap_history(context: JobContext) -> Mapping[str, Any]:
    from apps.worker_batch.tasks_data import bootstrap_history

    return bootstrap_history(context)


def _sync_universe(context: JobContext) -> Mapping[str, Any]:
    from apps.worker_batch.tasks_data import sync_universe

    return sync_universe(context)


def _sync_store(context: JobContext) -> Mapping[str, Any]:
    from apps.worker_batch.tasks_data import sync_store

    return sync_store(context)


def _instrument_days(context: JobContext) -> Mapping[str, Any]:
    from apps.worker_batch.tasks_data import instrument_days

    return instrument_days(context)


def _retention(context: JobContext) -> Mapping[str, Any]:
    from apps.worker_batch.tasks_data import retention

    return retention(context)


def _label_recent(context: JobContext) -> Mapping[str, Any]:
    from apps.worker_batch.tasks_research import label_recent

    return label_recent(context)


def _train_model(context: JobContext) -> Mapping[str, Any]:
    from apps.worker_batch.tasks_research import train_model

    return train_model(context)


def _walkforward_backtest(context: JobContext) -> Mapping[str, Any]:
    from apps.worker_batch.tasks_research import walkforward_backtest

    return walkforward_backtest(context)


def _promote_model(context: JobContext) -> Mapping[str, Any]:
    from apps.worker_batch.tasks_research import promote_model

    return promote_model(context)


def _compute_drift(context: JobContext) -> Mapping[str, Any]:
    from apps.worker_batch.tasks_monitoring import compute_drift

    return compute_drift(context)


def _repair_data(context: JobContext) -> Mapping[str, Any]:
    from apps.worker_batch.tasks_data import repair_data

    return repair_data(context)


def _explain_traded(context: JobContext) -> Mapping[str, Any]:
    from apps.worker_batch.tasks_monitoring import explain_traded

    return explain_traded(context)


KINDS: dict[str, Handler] = {
    "bootstrap_history": _bootstrap_history,
    "sync_universe": _sync_universe,
    "sync_store": _sync_store,
    "instrument_days": _instrument_days,
    "retention": _retention,
    "label_recent": _label_recent,
    "train_model": _train_model,
    "walkforward_backtest": _walkforward_backtest,
    "promote_model": _promote_model,
    "compute_drift": _compute_drift,
    "repair_data": _repair_data,
    "explain_traded": _explain_traded,
}

# Of these at most one runs at a time: each takes what the machine has (D36).
ALONE = frozenset({"label_recent", "train_model", "walkforward_backtest"})
