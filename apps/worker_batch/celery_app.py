"""Celery over Redis: it starts processes and carries job ids; what a job is and how it stands is in the table ``jobs``.

``acks_late`` and ``task_reject_on_worker_lost`` bring a killed pool child's message back at once; whatever is lost
beside that (the broker's data, the whole worker) the reaper sends again.
"""

import multiprocessing
import os
from typing import Any

from celery import Celery, signals
from celery.app.task import Task

from apps.worker_batch import runner
from apps.worker_batch.context import redis_url
from packages.common.config import Settings, load_settings

QUEUE_DATA, QUEUE_COMPUTE = "perpilot.data", "perpilot.compute"
TASK = "perpilot.run_job"
_COMPUTE_KINDS = frozenset({"label_recent", "train_model", "walkforward_backtest"})
_RETRY_S = 2.0
_stopping = multiprocessing.get_context("fork").Event()  # made before the pool forks, so that its children see it


def queue_of(kind: str) -> str:
    """Which queue a kind of job waits in."""
    return QUEUE_COMPUTE if kind in _COMPUTE_KINDS else QUEUE_DATA


def make_app(settings: Settings) -> Celery:
    """The configured application; no connection is made yet."""
    app = Celery("perpilot", broker=redis_url(settings))
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_default_queue=QUEUE_DATA,
        worker_prefetch_multiplier=1,
        worker_max_tasks_per_child=50,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"visibility_timeout": 6 * 3600},
        enable_utc=True,
    )

    @app.task(name=TASK, bind=True, max_retries=None)  # type: ignore[untyped-decorator]
    def run_job(self: Task[Any, Any], job_id: str) -> str:
        outcome = runner.run_job(job_id, settings, stopping=_stopping.is_set)
        if outcome == "busy" or (outcome == "queued" and not _stopping.is_set()):
            delivery = self.request.delivery_info or {}
            self.apply_async((job_id,), countdown=_RETRY_S, queue=delivery.get("routing_key", QUEUE_DATA))
        return outcome

    return app


def send(app: Celery, job_id: str, kind: str) -> None:
    """Tell the workers about a queued job. Twice does no harm: it is claimed once."""
    app.send_task(TASK, (job_id,), queue=queue_of(kind))


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def _be_modest(**_: Any) -> None:
    os.nice(10)  # training never slows the realtime worker (D36)


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _tell_children(**_: Any) -> None:
    _stopping.set()


def app_from_environment() -> Celery:
    """For ``celery -A``-style tools and the worker."""
    return make_app(load_settings())
