"""Many complete files, read ahead concurrently, many in one call in a thread.

A call in a thread costs more than reading a small file, so a thread reads a batch of them. The size
of a batch is limited by a budget of bytes, checked before each file is read: a file that would
exceed it is left for a later call, and a file larger than the total budget is read only when it is
the next one. So the memory is bounded, except for that one file.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from threading import Event
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, final, overload

from withal.files.loop_budget import loop_budget
from withal.files.system.complete_io import read_to_end
from withal.files.system.page_cache import waits
from withal.files.threads.calls import call_in_thread

AnyPath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Outcome: TypeAlias = bytes | OSError | ValueError

P = TypeVar("P", bound=AnyPath)

AHEAD_BYTES = 16 * 1024 * 1024
"""The maximum amount of unused data in memory, without the file that is next."""

HOP_BYTES = 1024 * 1024
"""How much one call to a thread reads before it hands over."""

HOP_FILES = 64
"""How many files one call to a thread reads at most: with small ones, some 30 us of loop time."""

FIRST_FILES = 4
"""How many files the first calls read, so that a few files are read side by side too."""

CLOSE_SECONDS = 1.0
"""Seconds that closing waits for the calls in progress, each of which ends after one file."""

_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_BINARY", "O_NONBLOCK"))
_POLL_SECONDS = 0.02  # seconds between two checks whether a thread that waits for a FIFO has to end
_YIELD_COST = 4 * 1024  # the cost of handing over one file, for the budget of the loop


@overload
def read_many(
    paths: Iterable[P] | AsyncIterable[P],
    *,
    workers: int = 4,
    return_exceptions: Literal[False] = False,
) -> AsyncGenerator[tuple[P, bytes], None]: ...


@overload
def read_many(
    paths: Iterable[P] | AsyncIterable[P], *, workers: int = 4, return_exceptions: Literal[True]
) -> AsyncGenerator[tuple[P, Outcome], None]: ...


def read_many(
    paths: Iterable[P] | AsyncIterable[P], *, workers: int = 4, return_exceptions: bool = False
) -> AsyncGenerator[tuple[P, Outcome], None]:
    """Read many files whole, in the order given: ``async for path, data in read_many(paths)``.

    This is the fast way to read thousands of small files. While one is being used, the next are
    read: up to 16 MiB, and `workers` files at the same time, each with one descriptor, which is
    closed by the thread that opened it. A larger file is read when it is the next one. Nothing is
    read before the iteration begins, and reading waits for the iteration.

    An iteration that is cancelled or closed stops the threads, each after its current file, and
    waits for them up to a second. One that is left by ``break`` is closed when Python collects it;
    use `contextlib.aclosing` to close it immediately. No descriptor is ever lost. A FIFO occupies
    its thread until a writer has opened and closed it, or the iteration ends.

    Args:
        paths: the files to read. They are taken as far ahead as files are read. A separate task
            iterates over an asynchronous iterable.
        workers: how many threads are used at most. More threads read a disk faster, but the event
            loop waits longer for the interpreter's lock. Measured on 2 cores: up to 2.5 ms with 4
            threads, and 3.7 to 12 ms with 6 or 8, which read 1.0 to 1.4 times as fast.
        return_exceptions: yield the error of a file in place of its bytes and continue, as
            `asyncio.gather` does. By default the error is raised, which ends the iteration.

    Raises:
        OSError: if a file cannot be opened or read; raised when it is the next file; its
            ``filename`` is the path.
        ValueError: if a path has a null character in it; or `workers` is less than 1.
        BaseException: what iterating `paths` raises, after the files of the paths before.

    Example:
        >>> import asyncio
        >>> async def main() -> None:
        ...     paths = ["/dev/null", "/missing"]
        ...     async for path, data in read_many(paths, return_exceptions=True):
        ...         print(path, data)
        >>> asyncio.run(main())
        /dev/null b''
        /missing [Errno 2] No such file or directory: '/missing'
    """
    if workers < 1:
        raise ValueError(f"workers is how many threads to use, 1 or more; got {workers!r}")
    return _read_many(paths, workers, return_exceptions)


async def _read_many(
    paths: Iterable[P] | AsyncIterable[P], workers: int, return_exceptions: bool
) -> AsyncGenerator[tuple[P, Outcome], None]:
    source = _Pump(paths) if isinstance(paths, AsyncIterable) else _Given(paths)
    reading = _Reading(source, workers)
    budget = loop_budget()
    try:
        while (batch := await reading.next_batch()) is not None:
            for path, outcome in batch.handed_over():
                if not (return_exceptions or isinstance(outcome, bytes)):
                    raise outcome
                yield path, outcome
                budget.remaining -= _YIELD_COST
                if budget.remaining < 0:
                    await budget.checkpoint()
            reading.release(batch)
    finally:
        await reading.stop()


@final
class _Given(Generic[P]):
    """The paths of a synchronous iterable, which are available without waiting."""

    def __init__(self, paths: Iterable[P]) -> None:
        self._paths = iter(paths)
        self.error: Exception | None = None
        self.ended = False

    def take(self, most: int) -> list[P]:
        """Return the next paths; an empty list at the end or after an error, which is kept."""
        taken: list[P] = []
        try:
            taken.extend(islice(self._paths, most))
        except Exception as error:
            self.error = error
        self.ended = len(taken) < most
        return taken

    def wait_more(self) -> asyncio.Future[None] | None:
        """Return None: there is nothing to wait for."""
        return None

    def stop(self) -> asyncio.Task[None] | None:
        """Do nothing: there is no task."""
        return None


@final
class _Pump(Generic[P]):
    """The paths of an asynchronous iterable, over which one task iterates ahead."""

    def __init__(self, paths: AsyncIterable[P]) -> None:
        self._waiting = deque[P]()
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._room = asyncio.Event()
        self._task = asyncio.create_task(self._pump(paths), name="read_many's paths")
        self.error: Exception | None = None
        self.ended = False

    async def _pump(self, paths: AsyncIterable[P]) -> None:
        try:
            async for path in paths:
                self._waiting.append(path)
                self._notify()
                self._room.clear()
                if len(self._waiting) >= HOP_FILES:
                    await self._room.wait()
        except Exception as error:
            self.error = error
        finally:
            self.ended = True
            self._notify()

    def _notify(self) -> None:
        if not self._news.done():
            self._news.set_result(None)

    def take(self, most: int) -> list[P]:
        """Return the paths that are available; an empty list if there are none yet."""
        taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        self._room.set()
        if not self._waiting and not self.ended and self._news.done():
            self._news = asyncio.get_running_loop().create_future()
        return taken

    def wait_more(self) -> asyncio.Future[None] | None:
        """Return a future that is done when a path is available, or the iterable has ended."""
        return self._news

    def stop(self) -> asyncio.Task[None] | None:
        """Cancel the task, and return it."""
        self._task.cancel()
        return self._task


@final
@dataclass(eq=False, slots=True)
class _Batch(Generic[P]):
    """Some of the paths: not read yet, being read, or read.

    Attributes:
        needs: the size of the first file, if it is known to exceed what one call may read.
        flight: the call that reads it.
        reserved: how many bytes it may have in memory.
        outcomes: the content or the error of each path, once the call has ended.
    """

    paths: list[P]
    needs: int = 0
    flight: asyncio.Future[_Landing] | None = None
    reserved: int = 0
    outcomes: list[Outcome] | None = None

    @property
    def is_flying(self) -> bool:
        return self.flight is not None and not self.flight.done()

    def handed_over(self) -> Iterator[tuple[P, Outcome]]:
        """Yield each path with its data, and drop the reference to the data."""
        assert self.outcomes is not None
        self.outcomes.reverse()
        for path in self.paths:
            yield path, self.outcomes.pop()


@final
class _Reading(Generic[P]):
    """The batches that are read ahead, in order, and the calls that read them."""

    def __init__(self, source: _Given[P] | _Pump[P], workers: int) -> None:
        self._source: Final = source
        self._workers: Final = workers
        self._batches: Final[list[_Batch[P]]] = []
        self._held = 0  # bytes reserved
        self._started = 0  # batches
        self._stop: Final = Event()

    async def next_batch(self) -> _Batch[P] | None:
        """Return the next batch that has been read, or None at the end.

        Raises:
            Exception: the error of iterating over the paths, after all batches before it.
        """
        while True:
            self._land()
            self._start()
            if self._batches and self._batches[0].outcomes is not None:
                return self._batches.pop(0)
            waited_for = self._waited_for()
            if waited_for:
                await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
            elif self._source.error is not None:
                raise self._source.error
            else:
                return None

    def release(self, batch: _Batch[P]) -> None:
        """Mark the batch as no longer used."""
        self._held -= batch.reserved

    async def stop(self) -> None:
        """Stop the calls in progress, and wait for them, at most for a second."""
        self._stop.set()
        ending: set[asyncio.Future[Any]] = set(self._flights())
        if (task := self._source.stop()) is not None:
            ending.add(task)
        if ending:
            await asyncio.wait(ending, timeout=CLOSE_SECONDS)

    def _flights(self) -> list[asyncio.Future[_Landing]]:
        return [each.flight for each in self._batches if each.flight and each.is_flying]

    def _waited_for(self) -> set[asyncio.Future[Any]]:
        """Return a future that leads to the next batch: a call, or more paths."""
        flights = self._flights()
        first = self._batches[0].flight if self._batches else None
        waited_for: set[asyncio.Future[Any]] = {first} if first else set(flights)
        more = self._source.wait_more()
        if more is not None and not self._source.ended and self._has_room(len(flights)):
            waited_for.add(more)
        return waited_for

    def _land(self) -> None:
        """Record the data of a call; another call reads the paths that it has not read."""
        for index, batch in reversed(list(enumerate(self._batches))):
            if batch.flight is None or not batch.flight.done() or batch.outcomes is not None:
                continue
            landing = batch.flight.result()
            batch.outcomes = landing.outcomes
            rest = batch.paths[len(landing.outcomes) :]
            del batch.paths[len(landing.outcomes) :]
            if rest:
                self._batches.insert(index + 1, _Batch(rest, landing.needs))
            if not batch.paths:
                self.release(self._batches.pop(index))

    def _start(self) -> None:
        """Start calls up to the limits, the first batches first."""
        flying = len(self._flights())
        for index, batch in enumerate(self._batches):
            if flying < self._workers and batch.flight is None:
                flying += self._started_flight(batch, is_next=not index)
        while self._has_room(flying) and (paths := self._source.take(self._size())):
            batch = _Batch(paths)
            self._batches.append(batch)
            flying += self._started_flight(batch, is_next=len(self._batches) == 1)

    def _has_room(self, flying: int) -> bool:
        return (
            flying < self._workers
            and len(self._batches) < 2 * self._workers
            and (self._held + HOP_BYTES <= AHEAD_BYTES or not self._batches)
        )

    def _size(self) -> int:
        """Return how many files the next call reads: few at first, so that no thread is idle."""
        doublings = min(self._started // self._workers, 16)
        return min(HOP_FILES, FIRST_FILES << doublings)

    def _started_flight(self, batch: _Batch[P], *, is_next: bool) -> bool:
        allowance = max(HOP_BYTES, batch.needs)
        if self._held + allowance > AHEAD_BYTES and not is_next:
            return False
        batch.flight = call_in_thread(
            _read_batch, batch.paths.copy(), allowance, is_next, self._stop
        )
        batch.reserved = allowance
        self._held += allowance
        self._started += 1
        return True


# The following runs in threads


@final
@dataclass(frozen=True, slots=True)
class _Landing:
    """The result of a call: the data of the first paths, and the size of the next file."""

    outcomes: list[Outcome]
    needs: int = 0


@final
@dataclass(frozen=True, slots=True)
class _Waiting:
    """A FIFO, a terminal or a device, which may wait for its other end.

    Attributes:
        fd: an open descriptor, which `read` closes.
        name: its path.
    """

    fd: int
    name: str | bytes

    def read(self, stop: Event) -> bytes | OSError:
        """Read to the end, and check at intervals whether a task still waits for the data."""
        try:
            return self._read(stop)
        except OSError as error:
            error.filename = self.name
            return error
        finally:
            os.close(self.fd)

    def _read(self, stop: Event) -> bytes:
        # Linux does not report a hang-up of a FIFO before this descriptor has had a writer
        # (https://man7.org/linux/man-pages/man7/fifo.7.html). So this waits for data, or until a
        # writer has opened and closed it.
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        parts: list[bytes] = []
        while not stop.is_set():
            if poll.poll(_POLL_SECONDS * 1000):
                with suppress(BlockingIOError):
                    parts.append(os.read(self.fd, HOP_BYTES))
                    if not parts[-1]:
                        return b"".join(parts)
        raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))


def _read_batch(paths: Sequence[AnyPath], allowance: int, is_next: bool, stop: Event) -> _Landing:
    """Read files up to `allowance` bytes; if `is_next`, the first one is read whatever its size."""
    outcomes: list[Outcome] = []
    for path in paths:
        if stop.is_set():
            break
        limit = sys.maxsize if is_next and not outcomes else allowance
        outcome = _outcome(path, limit)
        if isinstance(outcome, _Waiting):
            outcome = outcome.read(stop)
        if isinstance(outcome, int):
            return _Landing(outcomes, outcome)
        outcomes.append(outcome)
        if isinstance(outcome, bytes):
            allowance -= len(outcome)
    return _Landing(outcomes)


def _outcome(path: AnyPath, limit: int) -> Outcome | int | _Waiting:
    """Return the content of a file, or the error, or its size if that exceeds the limit."""
    try:
        fd = os.open(path, _FLAGS)
        if waits(fd):
            return _Waiting(fd, os.fspath(path))
        try:
            size = os.fstat(fd).st_size
            return size if size > max(limit, 0) else read_to_end(fd, size)
        finally:
            os.close(fd)
    except OSError as error:
        error.filename = os.fspath(path)
        return error
    except ValueError as error:
        return error
