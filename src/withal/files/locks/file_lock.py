"""Locks by file: between processes, and between the tasks of one; a cancelled waiter holds none.

The lock is ``flock(2)`` (https://man7.org/linux/man-pages/man2/flock.2.html), which belongs to an
open file description: two openings of one file exclude each other even within a process, and the
kernel frees the lock of a process that dies. A thread never blocks in ``flock``, since it could not
be cancelled: each attempt is one call that opens the file, tries to lock it without waiting, and
closes the file again on failure. So a cancelled waiter holds nothing. If an attempt is in progress,
`call_and_own` releases its lock.

The tasks of one loop queue for each name, and only the first of the queue tries. Between processes
there is no order.

**The file is never deleted.** After a deletion, processes that have it open would
lock a file without a name, while the next one creates and locks a new file. If other code
deletes it, an attempt that got the lock of the old file detects that, and begins again.
"""

from __future__ import annotations

import asyncio
import errno
import math
import os
import random
import sys
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias, final

from withal.files.locks.fair_queue import Line
from withal.files.threads.calls import call, call_and_own, call_in_thread, result_of

if sys.platform != "win32":
    import fcntl

HAS_FLOCK = sys.platform != "win32"

AnyPath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
_Inode: TypeAlias = tuple[int, int]

FIRST_DELAY_SECONDS = 0.001
"""Seconds between the first try and the second; it doubles with each."""

MAX_DELAY_SECONDS = 0.05
"""The maximum seconds between two tries, so the maximum delay after another process's release."""

LAST_TRY_SECONDS = 1.0
"""Seconds that a try that has begun in time may take, if the threads or the disk are busy."""

_MAKE = os.O_RDWR | os.O_CREAT
# A directory, or a file that may only be read; NFS needs a file open for writing, so that is tried
# first.
_CANNOT_WRITE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR})
_FLAGS: int = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY"))


@final
@dataclass(frozen=True, slots=True)
class FileLock:
    """The value of `lock`: the held lock.

    Attributes:
        path: the file, as passed to `lock`.
        shared: whether others may share it.
    """

    path: AnyPath
    shared: bool


def lock(path: AnyPath, *, shared: bool = False, timeout: float | None = None) -> Lock:
    """Hold a lock on a file: between processes, threads, and tasks, for as long as the block runs.

    It excludes other users of ``flock(2)`` on the file, but not other access: the file
    can be read and written meanwhile. It is created if it is missing, and never deleted, since a
    lock on a deleted file excludes no other process. Symbolic links are followed, and a directory
    can be locked.

    The returned `Lock` may be kept and entered any number of times: by several tasks at the same
    time, which exclude each other, and on several event loops, one after another or in several
    threads. Each time, it is acquired again, with the full `timeout`.

    Tasks of one loop get it first come, first served, if they use the same name for it; those that
    share get it together, but do not pass one that waits for it alone. Other processes, loops, and
    names are excluded too, but are asked again and again: after 1 ms, then twice as long each time
    up to 50 ms. So it is acquired up to 50 ms after their release, in no order.

    **A cancelled waiter never holds it**, however early or late, and leaves no descriptor open.
    An attempt in progress ends first: if it gets the lock, it releases it again.
    The release is submitted to a thread before anything is awaited: a cancellation while the block
    ends only ends the wait for it. The kernel releases the lock of a process that dies.

    A forked process shares the lock, but its end does not release it. If the parent is killed, the
    lock is held until the forked process ends. A process started by ``exec`` (as `subprocess` does)
    does not have the lock.

    Args:
        path: the file. Its folder must exist.
        shared: acquire it together with others that share it; otherwise exclusively.
        timeout: the maximum wait, in seconds; without a limit if it is None; 0 tries once. An
            attempt that has begun in time may take another second if the disk or the threads are
            busy.

    Raises:
        TimeoutError: if another task or process holds it; the message has the path.
        RuntimeError: if this task already holds it, and would wait for itself. (A task may share it
            several times.) A lock that a scope enters in a task of its own is not recognised.
        OSError: if the file cannot be opened or locked; its ``filename`` is `path`.
        ValueError: if the timeout is negative or not a number.
        NotImplementedError: if this system has no ``flock``.

    Example:
        >>> import asyncio, tempfile
        >>> async def main(folder: str) -> None:
        ...     async with lock(f"{folder}/lock"):
        ...         try:
        ...             await asyncio.create_task(other(f"{folder}/lock"))
        ...         except TimeoutError:
        ...             print("another holder has it")
        >>> async def other(path: str) -> None:
        ...     async with lock(path, timeout=0):
        ...         print("not reached")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        another holder has it
    """
    if not HAS_FLOCK:
        raise NotImplementedError("files.lock() needs flock(2), which this system does not have")
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"timeout must be zero or more seconds, or None; got {timeout!r}")
    return Lock(FileLock(path, shared), os.fspath(path), math.inf if timeout is None else timeout)


@final
class Lock(AbstractAsyncContextManager[FileLock]):
    """A lock by file, returned by `lock`: enter it to acquire it, any number of times."""

    __slots__ = ("__name__", "_held", "_name", "_timeout", "_value")

    def __init__(self, value: FileLock, name: str | bytes, timeout: float) -> None:
        self.__name__: str = "lock"
        self._value = value
        self._name = name
        self._timeout = timeout
        self._held: list[_Request] = []  # of any thread: changed by single calls only

    def __repr__(self) -> str:
        return f"<withal.files.Lock {self._name!r} shared={self._value.shared}>"

    async def __aenter__(self) -> FileLock:
        request = _Request(self._name, self._value.shared, self._timeout)
        await request.acquire()
        # No await in between, so that an acquired lock is always released.
        self._held.append(request)
        return self._value

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await result_of(self._take_back().start_release())

    def _take_back(self) -> _Request:
        """Return the last acquisition of this task, or else the last one of its loop."""
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        held = [each for each in reversed(self._held) if each.loop is loop]
        if not held:
            raise RuntimeError(f"{self!r} is not held on this event loop, and cannot be released")
        request = next((each for each in held if each.task is task), held[0])
        self._held.remove(request)
        return request


@final
@dataclass(frozen=True, slots=True)
class _Taken:
    """A lock of this process: the descriptor that has it."""

    fd: int
    pid: int
    inode: _Inode


@final
@dataclass(frozen=True, slots=True)
class _Holding:
    """A lock that a task holds: its name, and whether it is shared."""

    name: str | bytes
    inode: _Inode
    shared: bool


# The queue of each loop and name, and the locks of each task. An entry is removed with its
# last user. A loop and its tasks are of one thread, so no two threads touch the same entry.
_lines: dict[tuple[asyncio.AbstractEventLoop, str | bytes], Line] = {}
_holdings: dict[asyncio.Task[object], list[_Holding]] = {}


@final
class _Request:
    """One acquisition, from queueing to the release."""

    __slots__ = ("_at_once", "_deadline", "_holding", "_key", "_leave", "_name",
                 "_shared", "_since", "_taken", "_timeout", "loop", "task")  # fmt: skip

    def __init__(self, name: str | bytes, shared: bool, timeout: float) -> None:
        task = asyncio.current_task()
        assert task is not None  # async with runs in one
        self.task = task
        self.loop = asyncio.get_running_loop()
        self._name = name
        self._key = self.loop, os.path.abspath(name)
        self._shared = shared
        self._timeout = timeout
        self._since = self.loop.time()
        self._deadline = self._since + timeout
        self._taken: _Taken | None = None
        self._holding: _Holding | None = None

    async def acquire(self) -> None:
        again = await self._shares_already()
        line = _lines.setdefault(self._key, Line())
        place = line.join(shared=self._shared, at_once=again)

        def leave() -> None:
            line.leave(place)
            if not line and _lines.get(self._key) is line:
                del _lines[self._key]

        self._leave = leave
        try:
            await self._wait_turn(place.turn)
            self._taken = await self._take()
        except BaseException:
            leave()
            raise
        self._holding = _Holding(self._key[1], self._taken.inode, self._shared)
        _holdings.setdefault(self.task, []).append(self._holding)

    def start_release(self) -> asyncio.Future[None]:
        """Release in a thread. The next in the queue is served after that."""
        assert self._taken is not None
        assert self._holding is not None
        try:
            flight = call_in_thread(_release, self._taken)
        except RuntimeError:  # the loop is being closed, and starts no threads any more
            _release(self._taken)
            flight = self.loop.create_future()
            flight.set_result(None)
            self._leave()
        else:
            flight.add_done_callback(lambda _: self._leave())
        held = _holdings[self.task]
        held.remove(self._holding)
        if not held:
            del _holdings[self.task]
        return flight

    async def _shares_already(self) -> bool:
        """Return whether this task already shares the lock, in which case it must not queue
        behind a task that waits for its release.

        Raises:
            RuntimeError: if it would wait for itself.
        """
        held = _holdings.get(self.task)
        if not held:
            return False
        same = [each for each in held if each.name == self._key[1]]
        if not same:
            inode = await call(_inode_of, self._name)
            same = [each for each in held if each.inode == inode]
        if same and not (self._shared and all(each.shared for each in same)):
            raise RuntimeError(
                f"this task already holds the lock of {self._name!r}, and would wait for itself; "
                "leave its block first, or share it both times"
            )
        return bool(same)

    async def _wait_turn(self, turn: asyncio.Future[None]) -> None:
        if turn.done():
            return
        if self._timeout == 0:
            raise self._late()
        # asyncio.wait does not pass a cancellation on to the future: only `leave` ends a ticket.
        left = None if self._timeout == math.inf else self._deadline - self.loop.time()
        await asyncio.wait((turn,), timeout=left)
        if not turn.done():
            raise self._late()

    async def _take(self) -> _Taken:
        """Try until it succeeds. The last attempt is made when the time is up, not before."""
        delay = FIRST_DELAY_SECONDS
        while True:
            last = self.loop.time() >= self._deadline
            taken = await self._try()
            if taken is not None:
                return taken
            if last or self._timeout == 0:
                raise self._late()
            # Without randomness, many waiters would try at the same time.
            pause = delay * random.uniform(0.5, 1)
            await asyncio.sleep(min(pause, self._deadline - self.loop.time()))
            delay = min(2 * delay, MAX_DELAY_SECONDS)

    async def _try(self) -> _Taken | None:
        attempt = _Attempt(self._name, self._shared)
        until = max(self._deadline, self.loop.time() + LAST_TRY_SECONDS)
        limit = asyncio.timeout_at(None if until == math.inf else until)
        try:
            async with limit:
                return await call_and_own(attempt.make, give_back=_give_back)
        except TimeoutError:
            if limit.expired():
                raise self._late("no thread was free, or the disk did not answer") from None
            raise
        finally:
            attempt.is_wanted = False

    def _late(self, why: str = "another task or process has it") -> TimeoutError:
        waited = self.loop.time() - self._since
        return TimeoutError(
            f"did not get the lock of {self._name!r} within {self._timeout:g} s "
            f"(waited {waited:.3f} s): {why}"
        )


# The following runs in threads


@final
class _Attempt:
    """One attempt to take a lock, which is skipped if its waiter has left before it begins."""

    __slots__ = ("_name", "_shared", "is_wanted")

    def __init__(self, name: str | bytes, shared: bool) -> None:
        self._name = name
        self._shared = shared
        self.is_wanted = True

    def make(self) -> _Taken | None:
        """Take the lock if it is free now; return None if it is held."""
        while self.is_wanted:
            fd = _open(self._name)
            taken = None
            try:
                if not _flock(fd, self._shared):
                    return None
                status = os.fstat(fd)
                inode = status.st_dev, status.st_ino
                if _inode_of(self._name) == inode:  # else it was deleted before it was locked
                    taken = _Taken(fd, os.getpid(), inode)
                    return taken
            except OSError as error:
                error.filename = self._name
                raise
            finally:
                if taken is None:
                    os.close(fd)
        return None


def _open(name: str | bytes) -> int:
    try:
        return os.open(name, _MAKE | _FLAGS, 0o666)
    except OSError as error:
        if error.errno in _CANNOT_WRITE:
            with suppress(OSError):  # the first error says more
                return os.open(name, os.O_RDONLY | _FLAGS)
        raise


def _flock(fd: int, shared: bool) -> bool:
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _inode_of(name: str | bytes) -> _Inode | None:
    try:
        status = os.stat(name)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _release(taken: _Taken) -> None:
    """Release the lock and close: closing alone keeps it if a forked process has the file open."""
    try:
        if os.getpid() == taken.pid:
            fcntl.flock(taken.fd, fcntl.LOCK_UN)
    finally:
        os.close(taken.fd)


def _give_back(taken: _Taken | None) -> None:
    if taken is not None:
        _release(taken)
