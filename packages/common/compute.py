"""Where batch computations run (D36): threads of this process, or a Dask cluster, by the one setting ``COMPUTE``.

Both take the same functions: importable, with picklable arguments, and idempotent, since a cluster runs a task again
when its worker dies. What is large goes through the research store, which every worker must reach at the same URL.
"""

import concurrent.futures
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from packages.common.errors import InvalidInputError, SchemaMismatchError, StoreUnavailableError
from packages.common.kernel_sources import sources_hash

T = TypeVar("T")
R = TypeVar("R")

LOCAL = "local"
SCHEME = "dask://"
_RETRIES = 2  # of a task that raised: a store or a network that was away for a moment
_LOSSES = 3  # times that what was sent to the workers may be lost with one of them


class Compute(Protocol):
    """A place to compute in."""

    def map(self, function: Callable[..., R], items: Sequence[T], *shared: object) -> Iterator[tuple[int, R]]:
        """``(position of the item, function(item, *shared))`` as results come, in no order. ``shared`` travels once to
        each worker. An exception of the function ends it; when the caller stops reading, what has not begun is not
        begun."""


class LocalCompute:
    """Threads of this process: the kernels release the interpreter lock."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or os.cpu_count() or 1

    def map(self, function: Callable[..., R], items: Sequence[T], *shared: object) -> Iterator[tuple[int, R]]:
        """See ``Compute``."""
        with concurrent.futures.ThreadPoolExecutor(min(self._threads, max(1, len(items)))) as pool:
            numbers = {pool.submit(function, item, *shared): number for number, item in enumerate(items)}
            try:
                while numbers:  # a finished result is let go before the next is waited for: results can be large
                    done, _ = concurrent.futures.wait(numbers, return_when=concurrent.futures.FIRST_COMPLETED)
                    for future in done:
                        yield numbers.pop(future), future.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


class DaskCompute:
    """The workers of a Dask scheduler. A worker that dies loses nothing: its tasks run again elsewhere."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def map(self, function: Callable[..., R], items: Sequence[T], *shared: object) -> Iterator[tuple[int, R]]:
        """See ``Compute``."""
        from distributed.client import FutureCancelledError

        left = dict(enumerate(items))
        for attempt in range(_LOSSES + 1):
            try:
                yield from self._round(function, left, shared)
                return
            except FutureCancelledError as exc:
                # Dask keeps what was sent on as few workers as need it now; with the last of them goes all that
                # depends on it, results included. Both are still here, so what is left is sent again.
                if attempt == _LOSSES:
                    raise StoreUnavailableError(f"the cluster lost its workers {attempt + 1} times: {exc}") from exc

    def _round(
        self, function: Callable[..., R], left: dict[int, T], shared: tuple[object, ...]
    ) -> Iterator[tuple[int, R]]:
        """Compute what is ``left``, taking out of it what is handed on."""
        from distributed import as_completed

        sent = [self.client.scatter(value, broadcast=True, hash=False) for value in shared]
        repeated = ([one] * len(left) for one in sent)
        futures = self.client.map(function, list(left.values()), *repeated, pure=False, retries=_RETRIES)
        numbers = dict(zip((future.key for future in futures), list(left), strict=True))
        try:
            for future in as_completed(futures, loop=self.client.loop):
                result, number = future.result(), numbers[future.key]
                del left[number]
                yield number, result
                future.release()
        finally:
            self.client.cancel(futures)


@contextmanager
def open_compute(setting: str, *, timeout_s: float = 30.0) -> Iterator[LocalCompute | DaskCompute]:
    """``setting``: ``local`` or ``dask://host:port``, as the settings hold it.

    Raises ``InvalidInputError`` for an address without a scheduler or without workers, ``SchemaMismatchError`` when a
    worker runs other kernels than this process: its results would not be ours.
    """
    if setting == LOCAL:
        yield LocalCompute()
        return
    from distributed import Client

    address = "tcp://" + setting.removeprefix(SCHEME)
    try:
        client = Client(address, timeout=timeout_s, set_as_default=False)
    except OSError as exc:
        raise InvalidInputError("COMPUTE", setting, f"the address of a running Dask scheduler ({exc})") from exc
    try:
        try:
            client.wait_for_workers(1, timeout=timeout_s)
        except TimeoutError as exc:
            raise InvalidInputError("COMPUTE", setting, "a scheduler with at least one worker") from exc
        require_same_release(setting, client.run(sources_hash))
        yield DaskCompute(client)
    finally:
        client.close()


def require_same_release(setting: str, found: Mapping[str, str]) -> None:
    """``SchemaMismatchError`` naming the workers whose kernels differ from ours; ``found``: worker → its hash."""
    others = sorted(worker for worker, theirs in found.items() if theirs != sources_hash())
    if others:
        raise SchemaMismatchError(f"COMPUTE={setting}: workers {', '.join(others)} run another release than this")
