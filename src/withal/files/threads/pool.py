"""The threads in which blocking calls are made: one pool for each event loop.

asyncio's executor takes 45 to 70 microseconds for a call, mostly to create two futures, chain them,
and wake the loop for each call. Here a call is one future of the loop and an entry in a queue.
Results are collected in a second queue, and one wake-up delivers all of them. A timer costs a third
of a call (setting one leaves a virtual machine). So the loop sets none for a single call, and the
last idle thread waits without one.

Calls that are usually brief, such as reading a small file, share a thread. One thread makes dozens
of them while another one is woken; and two threads that make them at the same time contend for the
interpreter lock at each system call, and keep the event loop from getting it. So does a loop that
is woken for each result: it is notified when no more such calls are queued, or when there are many
results; then the threads rest until it has taken these. A usually brief call may have to wait for a
disk, so the loop checks each millisecond: if the calls are slow, it takes the results so far, and
doubles the number of threads.

The threads are daemons, so that a disk that hangs does not keep the interpreter from ending. They
end with their loop: each pool leaves an asynchronous generator suspended, which
``loop.shutdown_asyncgens()``, and so `asyncio.run`, finishes. If that is not called, they end after
they have been idle for some time, and the last one when another loop has a pool.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread, current_thread
from time import thread_time
from typing import Any, Generic, TypeAlias, TypeVar, TypeVarTuple, cast, final

from withal.files.threads.wakeup import Wakeup

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# The pool accepts calls of any type; `submit` is typed.
_Job: TypeAlias = tuple["asyncio.Future[Any]", Callable[..., object], tuple[object, ...], bool]
_Result: TypeAlias = tuple["asyncio.Future[Any]", object, BaseException | None]

MAX_THREADS = 16
"""The maximum number of concurrent calls: enough to keep a fast disk busy, and few enough that
the threads do not spend their time waiting for the interpreter's lock."""

BRIEF_SECONDS = 0.001
"""Seconds that brief calls may wait for one another before more threads are woken for them."""

BRIEF_CALLS = 8
"""The minimum number of brief calls in that time, if they do not wait for a disk. It is not one for
each thread: threads that contend for the interpreter lock would look slow, and more be woken."""

MAX_WAITING_RESULTS = 128
"""How many results may wait for delivery before no further brief call is begun: each may have a
descriptor. The threads rest while these are delivered, and so do not contend with the loop."""

CONTINUED_CALLS = 16
"""How many calls that have returned `Later` wait at most while others are begun."""

RESUMED_FUTURES = 64
"""The maximum number of results taken in one turn: their waiters take some 20 us each."""

_IDLE_SECONDS = 10.0  # seconds that a thread stays without work, unless it is the last one


@final
class Later(Generic[T]):
    """What a brief call returns in place of its result if it is to be continued after other calls.

    So one thread has the disk read several files at once: each call asks the kernel to read ahead
    (https://man7.org/linux/man-pages/man2/posix_fadvise.2.html), and its continuation finds the
    data in memory. Several threads in place of that would contend for the interpreter lock.

    Args:
        function: returns the result.
    """

    __slots__ = ("function",)

    def __init__(self, function: Callable[[], T]) -> None:
        self.function: Callable[[], T] = function


@final
class ThreadPool:
    """The threads of one loop. `submit` is for the thread that runs that loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jobs: deque[_Job] = deque()
        self._continued: deque[_Job] = deque()  # calls that have returned `Later`
        self._results: deque[_Result] = deque()
        self._in_flight = 0
        self._submitted = 0
        self._taken = 0  # of the jobs submitted, at the loop's last check
        self._watch: asyncio.TimerHandle | None = None
        self._used_seconds = 0.0  # processor time of the loop's thread at the last check
        self._is_notified = False  # the loop is about to take the results
        self._all_delivered: asyncio.Future[None] | None = None
        self._lock = Lock()  # of the threads and their numbers
        self._threads = set[Thread]()
        self._serving = 0  # threads that look for jobs or make a brief one
        self._idle = 0  # threads that wait to be woken
        self._wakeup = Wakeup.at(loop, self._deliver)
        self.wakings: SimpleQueue[bool] = SimpleQueue()  # one for each; False has all end
        self._end = self._end_with_loop()
        with suppress(StopIteration):  # its first value
            self._end.asend(None).send(None)

    def submit(
        self, function: Callable[[*Ts], T | Later[T]], args: tuple[*Ts], *, is_brief: bool = False
    ) -> asyncio.Future[T]:
        """Have a call made, and return the future of its result.

        The call is made even if the future is cancelled. An error that is not asked for is not
        reported. A brief call may have to wait `BRIEF_SECONDS` for others before it, and its
        result for others behind it. It may return `Later`.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        with self._lock:
            # A thread that serves may be in the midst of a brief call, which only those wait for.
            if self._serving <= (0 if is_brief else self._in_flight) and not self._is_full():
                self._wake_one()
            self._jobs.append((future, function, args, is_brief))
        self._in_flight += 1
        self._submitted += 1
        if is_brief and self._watch is None and self._in_flight > 1:
            self._watch = self._loop.call_later(BRIEF_SECONDS, self._check_progress)
        return future

    def dismiss(self) -> None:
        """Have the threads make the remaining calls and end: the loop was closed."""
        with self._lock:
            if self._has_jobs() and not self._serving:
                self._wake_one()
        self.wakings.put(False)

    @property
    def has_calls(self) -> bool:
        """Whether a call was submitted whose result the loop has not taken."""
        return self._in_flight > 0

    async def wait_idle(self) -> None:
        """Wait until the results of all calls are delivered."""
        while self._in_flight:
            if self._all_delivered is None:
                self._all_delivered = self._loop.create_future()
            await asyncio.wait((self._all_delivered,))

    def _check_progress(self) -> None:
        """If few calls were begun, deliver the results so far, and wake as many threads again."""
        with self._lock:
            waiting = self._has_jobs()
            taken = self._submitted - len(self._jobs)
            is_slow = self._was_idle() and taken - self._taken < BRIEF_CALLS
            if waiting and is_slow:
                for _ in range(self._serving):
                    self._wake_one()
        self._taken = taken
        if is_slow:
            self._deliver()
        watch = self._loop.call_later
        self._watch = watch(BRIEF_SECONDS, self._check_progress) if waiting else None

    def _was_idle(self) -> bool:
        """Return whether the loop's thread has left the interpreter lock to others since the check.

        If it has not, that few calls were begun does not mean that they wait for a disk.
        """
        before, self._used_seconds = self._used_seconds, thread_time()
        return self._used_seconds - before < BRIEF_SECONDS / 2

    def _wake_one(self) -> None:
        """Have one more thread serve, if there may be one more. With the lock."""
        if self._idle:
            self._idle -= 1
            self.wakings.put(True)
        elif len(self._threads) < MAX_THREADS:
            thread = Thread(target=self._work, name="withal-files", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system has no more threads, but these will come to the job
                if not self._threads:
                    raise
                return
            self._threads.add(thread)
        else:
            return
        self._serving += 1

    def _work(self) -> None:
        """Make calls, in a thread, until the pool ends or the thread has been idle for long."""
        self._serve()
        while self._wait_woken():
            self._serve()

    def _wait_woken(self) -> bool:
        """Wait for jobs. Returns whether there are any, or else this thread is to end."""
        while True:
            limit = None if self._idle == 1 else _IDLE_SECONDS
            try:
                is_woken = self.wakings.get(timeout=limit)
            except Empty:
                is_woken = False
            else:
                if is_woken:
                    return True
                self.wakings.put(False)  # for the next
            with self._lock:
                if self._idle:  # else this thread is about to be woken
                    self._idle -= 1
                    self._threads.discard(current_thread())
                    return False

    def _serve(self) -> None:
        """Make calls while there are any to be made."""
        while True:
            job = self._next_job()
            if job is None:
                return
            future, function, args, is_brief = job
            if not is_brief:
                self._leave_the_rest()
            if not is_brief or not self._has_jobs():
                self._notify()  # of the results so far: this call may take long
            try:
                result: _Result = future, function(*args), None
            except BaseException as error:
                result = future, None, error
            if isinstance(result[1], Later):
                self._continued.append((future, result[1].function, (), True))
                continue
            if not is_brief:
                # Before the loop is notified: the next call then need not wake another thread.
                with self._lock:
                    self._serving += 1
            self._results.append(result)
            if not is_brief or not self._has_jobs():
                self._notify()
            del job, future, function, args, result  # or an idle thread would keep them alive

    def _next_job(self) -> _Job | None:
        """Return the next call; None if there is none, and this thread is idle from now on."""
        while True:
            is_due = len(self._continued) >= CONTINUED_CALLS or not self._jobs or self._is_full()
            try:
                return (self._continued if is_due else self._jobs).popleft()
            except IndexError:  # another thread has taken it, or there is none
                pass
            with self._lock:
                if self._is_full() or not self._has_jobs():
                    self._serving -= 1
                    self._idle += 1
                    break
        self._notify()
        return None

    def _is_full(self) -> bool:
        """Return whether the next call is brief, and is to wait for the delivery of results."""
        if len(self._results) < MAX_WAITING_RESULTS or self._loop.is_closed():
            return False
        try:
            return self._jobs[0][3]
        except IndexError:  # another thread has taken it
            return False

    def _has_jobs(self) -> bool:
        return bool(self._jobs or self._continued)

    def _leave_the_rest(self) -> None:
        """Stop serving for the time of a call; if no other thread serves, start one."""
        with self._lock:
            self._serving -= 1
            if self._has_jobs() and not self._serving:
                self._wake_one()

    def _notify(self) -> None:
        """Notify the loop that there are results, if there are any.

        A thread that appends a result looks for jobs after that, and one that takes the last job
        looks for results after that: one of the two notices that the loop has to be notified.
        """
        # The result was appended first: if this is set, the loop will still take it.
        if self._results and not self._is_notified:
            self._is_notified = True
            if self._wakeup is not None:
                self._wakeup.notify()
                return
            with suppress(RuntimeError):  # the loop is closed, and no task waits
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        """Deliver the results; if they are many, the rest in the loop's next turn."""
        self._is_notified = False
        results = self._results
        for _ in range(RESUMED_FUTURES):
            if not results:
                break
            future, value, error = results.popleft()
            self._in_flight -= 1
            if future.cancelled():
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)
                future.exception()  # marks it as retrieved
        else:
            self._loop.call_soon(self._deliver)
            return
        with self._lock:
            if self._has_jobs() and not self._serving:  # the threads have rested
                self._wake_one()
        if not self._in_flight and self._all_delivered is not None:
            self._all_delivered.set_result(None)
            self._all_delivered = None

    async def _end_with_loop(self) -> AsyncGenerator[None]:
        """Wait, when the loop shuts down, until all calls are made, and end the threads."""
        try:
            yield
        finally:
            await self.wait_idle()
            for last_calls in at_loop_end:
                last_calls(self._loop)
            await self.wait_idle()
            with self._lock:
                threads = tuple(self._threads)
            self.wakings.put(False)
            for each in threads:
                each.join()
            self.wakings.get_nowait()  # that False
            if self._wakeup is not None:  # no thread writes to it any more
                self._wakeup.close()
                self._wakeup = None


at_loop_end: list[Callable[[asyncio.AbstractEventLoop], None]] = []
"""Called when a loop shuts down, in its thread, to submit the last calls."""

_pools: dict[asyncio.AbstractEventLoop, ThreadPool] = {}


def submit(
    function: Callable[[*Ts], T | Later[T]], args: tuple[*Ts], *, is_brief: bool = False
) -> asyncio.Future[T]:
    """Make a call in a thread of the running loop's pool, as `ThreadPool.submit` does."""
    loop = asyncio.get_running_loop()
    pool = _pools.get(loop) or _new_pool(loop)
    if pool is None:
        return _submit_to_executor(loop, function, args)
    return pool.submit(function, args, is_brief=is_brief)


def has_calls() -> bool:
    """Return whether the running loop's pool has calls whose results were not delivered."""
    pool = _pools.get(asyncio.get_running_loop())
    return pool is not None and pool.has_calls


async def wait_idle() -> None:
    """Wait until all calls of the running loop's pool have been made."""
    pool = _pools.get(asyncio.get_running_loop())
    if pool is not None:
        await pool.wait_idle()


def _new_pool(loop: asyncio.AbstractEventLoop) -> ThreadPool | None:
    if not _is_plain(loop):
        return None
    for closed in [each for each in _pools if each.is_closed()]:
        _pools.pop(closed).dismiss()
    _pools[loop] = ThreadPool(loop)
    return _pools[loop]


def _is_plain(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether a loop is asyncio's or uvloop's own.

    Another loop, for example of virtual time, has to know of calls in threads: they are made by its
    own `run_in_executor`.
    """
    cls = type(loop)
    return cls.__module__ == "uvloop" or (
        getattr(cls, "run_in_executor", None) is asyncio.BaseEventLoop.run_in_executor
    )


def _submit_to_executor(
    loop: asyncio.AbstractEventLoop, function: Callable[[*Ts], T | Later[T]], args: tuple[*Ts]
) -> asyncio.Future[T]:
    def complete() -> T:
        result = function(*args)
        if not isinstance(result, Later):
            return result
        later = cast("Later[T]", result)  # pyright does not know of what
        return later.function()

    call = loop.run_in_executor(None, complete)
    future: asyncio.Future[T] = loop.create_future()

    def deliver(done: asyncio.Future[T]) -> None:
        if future.cancelled() or done.cancelled():
            future.cancel()
        elif (error := done.exception()) is None:
            future.set_result(done.result())
        else:
            future.set_exception(error)
            future.exception()

    call.add_done_callback(deliver)
    return future


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)  # the child has none of the threads
