"""The life of a job, on a real database; and a pool child killed with -9, on real Celery."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid

import pytest
import redis

from apps.worker_batch import jobs, runner
from packages.common.config import load_settings
from packages.common.db import connect
from packages.common.errors import InvalidInputError, VenueUnavailableError

pytestmark = pytest.mark.integration


@pytest.fixture
def conn(postgres_url):
    with connect(postgres_url, autocommit=True) as conn:
        yield conn


@pytest.fixture
def settings(postgres_url, redis_url, tmp_path):
    return load_settings(env_file=None, database_url=postgres_url, redis_url=redis_url, var_dir=tmp_path)


def row(conn, job_id, *columns):
    values = conn.execute(f"SELECT {', '.join(columns)} FROM jobs WHERE job_id = %s", (job_id,)).fetchone()
    return values[0] if len(columns) == 1 else values


def age(conn, job_id, seconds):
    conn.execute(
        "UPDATE jobs SET heartbeat_at = now() - make_interval(secs => %s) WHERE job_id = %s", (seconds, job_id)
    )


def test_an_equal_request_is_the_same_job_while_it_lives_and_a_new_one_afterwards(conn):
    first, new = jobs.insert(conn, "train_model", {"a": 1, "b": 2})
    again, newer = jobs.insert(conn, "train_model", {"b": 2, "a": 1})
    assert (again, new, newer) == (first, True, False)
    run = jobs.claim(conn, first, "w:1")
    assert jobs.insert(conn, "train_model", {"a": 1, "b": 2})[0] == first
    jobs.succeed(conn, run, {})
    later, new = jobs.insert(conn, "train_model", {"a": 1, "b": 2})
    assert new
    assert later != first
    other, _ = jobs.insert(conn, "train_model", {"a": 2, "b": 2})
    assert other not in (first, later)


def test_ids_are_a_function_of_the_request(conn):
    job_id, _ = jobs.insert(conn, "label_recent", {"x": "y"})
    conn.execute("DELETE FROM jobs")
    assert jobs.insert(conn, "label_recent", {"x": "y"})[0] == job_id
    uuid.UUID(job_id)


def test_a_job_is_claimed_once(conn):
    job_id, _ = jobs.insert(conn, "sync_store", {})
    assert jobs.claim(conn, job_id, "w:1").attempt == 1
    assert jobs.claim(conn, job_id, "w:2") is None


def test_heavy_kinds_run_one_at_a_time(conn):
    heavy = frozenset({"train_model", "label_recent"})
    one, _ = jobs.insert(conn, "train_model", {})
    two, _ = jobs.insert(conn, "label_recent", {})
    light, _ = jobs.insert(conn, "sync_store", {})
    run = jobs.claim(conn, one, "w:1", alone=heavy)
    assert jobs.claim(conn, two, "w:2", alone=heavy) is None
    assert jobs.claim(conn, light, "w:2", alone=heavy) is not None
    jobs.succeed(conn, run, {})
    assert jobs.claim(conn, two, "w:2", alone=heavy) is not None


def test_a_run_given_up_for_dead_can_write_nothing(conn):
    job_id, _ = jobs.insert(conn, "sync_store", {})
    dead = jobs.claim(conn, job_id, "w:1")
    age(conn, job_id, 60)
    assert jobs.reap(conn) == [(job_id, "sync_store")]
    alive = jobs.claim(conn, job_id, "w:2")
    assert alive.attempt == 2
    for write in (lambda: jobs.beat(conn, dead, 0.9, "zombie"), lambda: jobs.succeed(conn, dead, {"zombie": True})):
        with pytest.raises(jobs.JobLostError):
            write()
    jobs.succeed(conn, alive, {"fine": True})
    assert row(conn, job_id, "status", "result") == ("succeeded", {"fine": True})


def test_the_reaper_leaves_living_jobs_and_gives_up_in_the_end(conn):
    job_id, _ = jobs.insert(conn, "sync_store", {})
    for attempt in range(1, jobs.ATTEMPTS_MAX + 1):
        assert jobs.claim(conn, job_id, "w:1").attempt == attempt
        age(conn, job_id, jobs.STALE_S - 5)
        assert jobs.reap(conn) == []
        age(conn, job_id, jobs.STALE_S + 5)
        sent = jobs.reap(conn)
    assert sent == []
    status, error = row(conn, job_id, "status", "error")
    assert status == "failed"
    assert "died 4 times" in error


def test_a_queued_job_whose_message_was_lost_is_sent_again(conn):
    job_id, _ = jobs.insert(conn, "sync_store", {})
    assert jobs.reap(conn) == []
    age(conn, job_id, 61)
    assert jobs.reap(conn) == [(job_id, "sync_store")]
    assert jobs.reap(conn) == []


def test_cancelling_ends_a_queued_job_at_once_and_a_running_one_at_its_next_step(conn, settings):
    queued, _ = jobs.insert(conn, "sync_store", {"n": 1})
    assert jobs.request_cancel(conn, queued) == "cancelled"
    with pytest.raises(InvalidInputError, match="cancelled"):
        jobs.request_cancel(conn, queued)

    running, _ = jobs.insert(conn, "sync_store", {"n": 2})
    steps = []

    def handler(context):
        for step in range(10):
            if step == 2:
                jobs.request_cancel(conn, running)
                context._last_write = -1e9  # not wait for the next half second
            context.progress(step / 10, f"step {step}")
            steps.append(step)
        return {}

    assert runner.run_job(running, settings, handlers={"sync_store": handler}) == "cancelled"
    assert steps == [0, 1]
    assert row(conn, running, "status") == "cancelled"


def test_progress_is_published_and_the_result_is_kept(conn, settings, redis_url):
    job_id, _ = jobs.insert(conn, "sync_store", {})

    def handler(context):
        context.progress(0.5, "half way")
        return {"rows": 3, "report_uri": "file:///x"}

    assert runner.run_job(job_id, settings, handlers={"sync_store": handler}) == "succeeded"
    assert row(conn, job_id, "status", "result", "report_uri", "progress") == (
        "succeeded", {"rows": 3, "report_uri": "file:///x"}, "file:///x", 1.0,
    )  # fmt: skip
    with redis.Redis.from_url(redis_url) as bus:
        stages = [jobs.JobDTO.model_validate_json(fields[b"data"]).stage for _, fields in bus.xrange(runner.STREAM)]
    assert stages == ["starting", "half way", "done"]


def test_a_retryable_error_goes_back_to_the_queue_and_another_does_not(conn, settings):
    def unavailable(context):
        raise VenueUnavailableError("the exchange does not answer")

    def broken(context):
        raise InvalidInputError("symbols", [], "at least one")

    job_id, _ = jobs.insert(conn, "sync_store", {})
    outcomes = [
        runner.run_job(job_id, settings, handlers={"sync_store": unavailable}) for _ in range(jobs.ATTEMPTS_MAX)
    ]
    assert outcomes == ["queued"] * (jobs.ATTEMPTS_MAX - 1) + ["failed"]
    assert row(conn, job_id, "error") == "VENUE_UNAVAILABLE: the exchange does not answer"

    job_id, _ = jobs.insert(conn, "sync_store", {"n": 2})
    assert runner.run_job(job_id, settings, handlers={"sync_store": broken}) == "failed"
    assert row(conn, job_id, "error") == "INVALID_INPUT: symbols: got [], expected at least one"


def test_an_orderly_stop_puts_the_job_back(conn, settings):
    job_id, _ = jobs.insert(conn, "sync_store", {})

    def handler(context):
        context.progress(0.1, "working")
        return {}

    stopped = runner.run_job(job_id, settings, stopping=lambda: True, handlers={"sync_store": handler})
    assert stopped == "queued"
    assert runner.run_job(job_id, settings, handlers={"sync_store": handler}) == "succeeded"


def test_equal_inputs_give_the_old_result(conn):
    first, _ = jobs.insert(conn, "train_model", {"n": 1})
    run = jobs.claim(conn, first, "w:1")
    assert jobs.set_input_hash(conn, run, "abc") is None
    jobs.succeed(conn, run, {"model_id": "m"})
    second, _ = jobs.insert(conn, "train_model", {"n": 2})
    run = jobs.claim(conn, second, "w:1")
    assert jobs.set_input_hash(conn, run, "abd") is None
    assert jobs.set_input_hash(conn, run, "abc") == {"model_id": "m"}


def test_a_job_of_a_dead_process_on_this_machine_is_taken_over_without_waiting(conn, settings):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    job_id, _ = jobs.insert(conn, "sync_store", {})
    jobs.claim(conn, job_id, f"{socket.gethostname()}:{child.pid}")
    assert runner.run_job(job_id, settings, handlers={"sync_store": lambda context: {}}) == "succeeded"

    job_id, _ = jobs.insert(conn, "sync_store", {"n": 2})
    jobs.claim(conn, job_id, f"{socket.gethostname()}:{os.getpid()}")
    assert runner.run_job(job_id, settings, handlers={"sync_store": lambda context: {}}) == "not claimed"


def test_a_job_that_kills_every_worker_is_given_up(conn, settings):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    dead = f"{socket.gethostname()}:{child.pid}"
    job_id, _ = jobs.insert(conn, "sync_store", {})
    for attempt in range(1, jobs.ATTEMPTS_MAX + 1):
        assert jobs.claim(conn, job_id, dead).attempt == attempt
        jobs.release_worker(conn, dead)
    assert jobs.claim(conn, job_id, dead) is None
    assert runner.run_job(job_id, settings, handlers={"sync_store": lambda context: {}}) == "not claimed"
    age(conn, job_id, jobs.STALE_S + 5)
    assert jobs.reap(conn) == []
    assert "died 4 times" in row(conn, job_id, "error")


_WORKER = """
import time
from apps.worker_batch import kinds

def slow(context):
    open(context.config["log"], "a").write(f"{context.run.attempt}\\n")
    if context.run.attempt == 1:
        for _ in range(600):
            context.progress(0.3, "first attempt")
            time.sleep(0.1)
    return {"attempt": context.run.attempt}

kinds.KINDS["sync_store"] = slow
from apps.worker_batch.__main__ import main
main(["worker"])
"""


def wait_for(check, seconds=120.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = check()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("timed out")


def test_a_killed_pool_child_leaves_a_job_that_is_run_again(conn, settings, tmp_path):
    environment = os.environ | {
        "DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url, "VAR_DIR": str(tmp_path),
    }  # fmt: skip
    with (tmp_path / "worker.log").open("wb") as output:
        worker = subprocess.Popen([sys.executable, "-c", _WORKER], env=environment, stdout=output, stderr=output)
    try:
        job_id, _ = jobs.insert(conn, "sync_store", {"log": str(tmp_path / "attempts")})
        from apps.worker_batch.celery_app import make_app, send

        send(make_app(settings), job_id, "sync_store")
        wait_for(lambda: row(conn, job_id, "stage") == "first attempt")
        name = row(conn, job_id, "worker")
        os.kill(int(name.rpartition(":")[2]), signal.SIGKILL)  # the pool child this test's worker started
        wait_for(lambda: row(conn, job_id, "status") == "succeeded")
        assert row(conn, job_id, "attempt", "result") == (2, {"attempt": 2})
        assert (tmp_path / "attempts").read_text().split() == ["1", "2"]
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait()
