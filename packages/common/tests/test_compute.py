"""The same function on threads of this process and on a cluster of processes behind TCP."""

import os
import time

import pytest

from packages.common.compute import LocalCompute, open_compute, require_same_release
from packages.common.errors import InvalidInputError, SchemaMismatchError
from packages.common.kernel_sources import sources_hash


def slow_square(number, folder):
    with open(f"{folder}/{os.getpid()}", "a") as seen:
        seen.write(f"{number}\n")
    time.sleep(0.05)
    return number * number


def wrong(number):
    raise InvalidInputError("number", number, "another one")


@pytest.mark.integration
def test_a_worker_killed_in_the_middle_changes_nothing(dask_cluster, tmp_path):
    seen = tmp_path / "seen"
    seen.mkdir()
    numbers = list(range(60))
    with open_compute(dask_cluster.setting) as compute:
        results = {}
        for number, value in compute.map(slow_square, numbers, str(seen)):
            results[number] = value
            if len(results) == 10:
                dask_cluster.kill_worker()
        with pytest.raises(InvalidInputError, match="number"):
            list(compute.map(wrong, [1]))
    assert results == dict(LocalCompute(2).map(slow_square, numbers, str(seen))) == {n: n * n for n in range(60)}
    assert len(list(seen.iterdir())) == 3  # two workers and this process


@pytest.mark.integration
def test_what_was_sent_is_sent_again_when_its_only_holder_is_killed(dask_cluster, tmp_path):
    seen = tmp_path / "seen"
    seen.mkdir()
    results = {}
    with open_compute(dask_cluster.setting) as compute:
        pids = compute.client.run(os.getpid)
        for number, value in compute.map(slow_square, list(range(40)), str(seen)):
            results[number] = value
            if len(results) == 1:
                deadline = time.monotonic() + 30
                while len(holders := only_holders(compute.client)) != 1 and time.monotonic() < deadline:
                    time.sleep(0.2)  # Dask drops the second copy by itself within seconds
                dask_cluster.kill_process(pids[holders.pop()])
    assert results == {n: n * n for n in range(40)}


def only_holders(client):
    """Workers that hold the value that was sent, by Dask's name of a scattered text."""
    held = [set(workers) for key, workers in client.who_has().items() if str(key).startswith("str-")]
    assert len(held) == 1
    return held[0]


def test_local_threads_give_positions_and_stop_when_nobody_reads():
    started = []

    def work(number):
        started.append(number)
        time.sleep(0.01)
        return -number

    assert dict(LocalCompute(3).map(work, range(7))) == {n: -n for n in range(7)}
    started.clear()
    for _ in LocalCompute(1).map(work, range(100)):
        break
    assert len(started) < 5
    with pytest.raises(InvalidInputError, match="number"):
        list(LocalCompute(2).map(wrong, range(3)))
    assert list(LocalCompute(2).map(work, [])) == []


def test_an_address_without_a_scheduler_is_named():
    nowhere = open_compute("dask://127.0.0.1:9", timeout_s=0.5)
    with pytest.raises(InvalidInputError, match="running Dask scheduler"), nowhere:
        pass


def test_workers_of_another_release_are_named():
    require_same_release("dask://h:1", {"tcp://a": sources_hash()})
    with pytest.raises(SchemaMismatchError, match="tcp://b"):
        require_same_release("dask://h:1", {"tcp://a": sources_hash(), "tcp://b": "0" * 16})
