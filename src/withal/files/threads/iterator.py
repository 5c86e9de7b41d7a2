"""Asynchronous iterators over items that a thread finds, many in one call."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Generator
from threading import Lock
from types import TracebackType
from typing import Generic, Self, TypeVar, final

from withal.files.threads.calls import call, call_in_thread, result_of
from withal.files.threads.stop import Stop, StoppedError

T = TypeVar("T")

BATCH_ITEMS = 256
"""The number of items of one call. A call costs about as much as finding some dozens."""

BATCH_SECONDS = 0.02
"""The maximum duration of a call, so that items that are found slowly are returned soon."""


@final
class Finder(Generic[T]):
    """The blocking half: a generator that is read, and closed exactly once, in threads.

    `close` may be called while another call reads, or before it has begun. It does not wait: the
    call that has the lock then closes the generator, so no second thread waits for a slow disk.
    """

    __slots__ = ("_error", "_items", "_lock", "ended", "stop")

    def __init__(self, find: Callable[[Stop], Generator[T, None, None]]) -> None:
        self.stop: Stop = Stop()
        self.ended: bool = False
        self._items = find(self.stop)  # a generator does nothing before it is read
        self._lock = Lock()
        self._error: Exception | None = None

    def read(self) -> list[T]:
        """Return some more items; none at the end."""
        found: list[T] = []
        with self._lock:
            if not self.stop.asked:
                self._find(found)
        if self.stop.asked:
            self.close()
        return found

    def close(self) -> None:
        """Make the generator release its resources. Does not wait for a call that reads."""
        self.stop.ask()
        if self._lock.acquire(blocking=False):
            try:
                self.ended = True
                self._items.close()
            finally:
                self._lock.release()

    def _find(self, found: list[T]) -> None:
        """Find up to a batch. An error is kept until the items before it have been taken."""
        if self._error is not None:
            error, self._error = self._error, None
            self.ended = True
            raise error
        deadline = time.monotonic() + BATCH_SECONDS
        try:
            for item in self._items:
                found.append(item)
                enough = len(found) >= BATCH_ITEMS or time.monotonic() >= deadline
                if enough or self.stop.asked:
                    return
            self.ended = True
        except StoppedError:
            self.ended = True
        except Exception as error:
            if not found:
                self.ended = True
                raise
            self._error = error


class ThreadedIterator(Generic[T]):
    """Items that a thread finds, some hundreds in one call.

    Iterate with ``async for``. Leave early inside of ``async with``, or call `aclose`, to have what
    is open closed at once; otherwise it is closed when the iterator is garbage. A cancelled wait
    for the next item closes it too: the thread stops at its next step, and the iteration is over.

    One task at a time may iterate.
    """

    __slots__ = ("_batch", "_closed", "_finder")

    def __init__(self, find: Callable[[Stop], Generator[T, None, None]]) -> None:
        self._finder = Finder(find)
        self._batch: deque[T] = deque()
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if not self._batch:
            await self._refill()
        return self._batch.popleft()

    async def __aenter__(self) -> Self:
        if not self._batch and not self._finder.ended:
            await self._read()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the iteration, and close what is open. Closing twice is harmless.

        A cancellation ends the wait; it is still closed.
        """
        self._batch.clear()
        flight = self._close()
        if flight is not None:
            await result_of(flight)

    async def _refill(self) -> None:
        if not self._finder.ended:
            await self._read()
        if not self._batch:
            raise StopAsyncIteration

    async def _read(self) -> None:
        try:
            self._batch.extend(await call(self._finder.read))
        except BaseException:
            self._close()
            raise

    def _close(self) -> asyncio.Future[None] | None:
        """Close it in a thread, unless that has begun or nothing is open."""
        self._finder.stop.ask()
        if self._closed or self._finder.ended:
            return None
        self._closed = True
        return call_in_thread(self._finder.close)
