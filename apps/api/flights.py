"""One read at a time of each thing: whoever asks while it is being read waits for the same answer."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """Reads under way, by key. A failed read fails all who wait for it."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[T]] = {}

    def start(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> "asyncio.Task[T]":
        """The read of ``key`` that is under way, else ``read`` begun now. Shield it to wait for it."""
        flight = self._under_way.get(key)
        if flight is None:
            flight = self._under_way[key] = asyncio.create_task(_awaited(read))
            flight.add_done_callback(partial(self._landed, key))
        return flight

    async def join(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """What ``start`` gives. Who hangs up takes nobody's answer with him."""
        return await asyncio.shield(self.start(key, read))

    def forget(self) -> None:
        """Nobody joins what is under way now: who asks from now on wants to know of what changed since it began."""
        self._under_way.clear()

    def _landed(self, key: Hashable, done: "asyncio.Task[T]") -> None:
        if self._under_way.get(key) is done:
            del self._under_way[key]
        if not done.cancelled():
            done.exception()  # retrieved: the waiters got it, or all of them hung up


async def _awaited(read: Callable[[], Awaitable[T]]) -> T:
    return await read()
