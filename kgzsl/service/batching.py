"""Work that is cheaper together: what arrives while a batch runs makes the next one, so nothing waits for a timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from kgzsl.service.problems import BusyError

In = TypeVar("In")
Out = TypeVar("Out")


class Batcher(Generic[In, Out]):
    """Runs `work` on what waits, one batch at a time, in a thread of its own.

    Parameters
    ----------
    work : takes a batch and returns one result each.
    size : how much an item weighs; a batch weighs at most `most`, or is one item.
    waiting : items that may wait at a time.
    """

    def __init__(
        self, work: Callable[[Sequence[In]], Sequence[Out]], size: Callable[[In], int], most: int, waiting: int, name: str
    ) -> None:
        self._work, self._size, self._most, self._limit = work, size, most, waiting
        self._waiting: list[tuple[In, asyncio.Future[Out]]] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._task: asyncio.Task[None] | None = None

    async def ask(self, item: In) -> Out:
        """Return the result for one item.

        Raises
        ------
        BusyError : too many wait already.
        """
        if len(self._waiting) >= self._limit:
            raise BusyError("only so much may wait at a time", received=f"{self._limit:,} requests do", remedy="come back in a second")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Out] = loop.create_future()
        self._waiting.append((item, future))
        if self._task is None:
            self._task = loop.create_task(self._run())
        return await future

    async def _run(self) -> None:
        """Work until nothing waits."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch = self._next()
                try:
                    found = await loop.run_in_executor(self._thread, self._work, [item for item, _ in batch])
                except Exception as error:  # told to everyone who waits
                    for _, future in batch:
                        if not future.done():
                            future.set_exception(error)
                    continue
                for (_, future), result in zip(batch, found, strict=True):
                    if not future.done():  # a client that went away
                        future.set_result(result)
        finally:
            self._task = None

    def _next(self) -> list[tuple[In, asyncio.Future[Out]]]:
        count, weight = 0, 0
        while count < len(self._waiting) and (count == 0 or weight + self._size(self._waiting[count][0]) <= self._most):
            weight += self._size(self._waiting[count][0])
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    def close(self) -> None:
        """End the thread once its work is done."""
        self._thread.shutdown(wait=False)
