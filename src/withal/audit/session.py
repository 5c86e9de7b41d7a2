"""The session: the state of an audit that the fixtures of its scenario can access."""

from __future__ import annotations

import asyncio
import threading
from asyncio import Task
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import ContextVar
from functools import partial
from types import CodeType
from typing import Any, final
from weakref import ReferenceType, WeakSet

from withal._core.aliases import AnyFunction
from withal.audit.leftover import Leftover
from withal.audit.report.record import Category
from withal.audit.stopping import StopRequest

session: ContextVar[AuditSession | None] = ContextVar("session", default=None)

_MAX_DELAY_SECONDS = 0.05  # of a call in a thread, since code may block the loop to wait for it


@final
class AuditSession:
    """One audit, as its fixtures see it.

    Attributes:
        timeout: seconds that each use of the environment may take.
        stop: whether the audit has to end early.
        kept: resources that are kept for all attempts, and closed with the audit.
        shared: these resources by name, for fixtures that need the same one in each attempt.
        processes: the ids of kept processes, which do not end with the attempt.
        noted: the leftovers that fixtures have found in this attempt.
        task: the scenario's own task in this attempt, as a weak reference, so that dropped objects
            can be collected.
        unmet: preparations of fixtures that the scenario has not used in this attempt.
        expected: the expected leftovers: category and a part of the evidence, with the reason.
        timers: the timers that limit the setup and the tear-down: while only these are left,
            nothing can wake a task.
        tasks: the tasks of fixtures, which are not leftovers.
        queues: the fixtures of this attempt in which the scenario has to be the first waiter.
        gates: by the code of a suspension, a function that returns whether the scenario may be
            cancelled there yet.
    """

    def __init__(self, kept: ExitStack, timeout: float, stop: StopRequest | None = None) -> None:
        self.timeout = timeout
        self.stop: StopRequest = stop or StopRequest()
        self.timers: set[object] = set[object]()
        self.tasks: WeakSet[Task[object]] = WeakSet()
        self.kept = kept
        self.shared: dict[object, Any] = {}
        self.processes: set[int] = set[int]()
        self.noted: list[Leftover] = []
        self.task: ReferenceType[Task[object]] | None = None
        self.unmet: list[str] = []
        self.expected: dict[tuple[Category, str], str] = {}
        self.queues: list[object] = []
        self.gates: dict[CodeType, Callable[[], bool]] = {}

    def begin_attempt(self) -> None:
        """Remove the entries of the previous attempt."""
        self.noted.clear()
        self.unmet.clear()
        self.gates.clear()
        self.queues.clear()
        self.task = None

    def unexpected(self, leftovers: list[Leftover]) -> list[Leftover]:
        """Return the leftovers that are not expected."""
        return [leftover for leftover in leftovers if not self._expects(leftover)]

    @property
    def expectations(self) -> tuple[str, ...]:
        """The expected leftovers with the reasons, in the form of a report."""
        return tuple(
            f"{category}{f' ({text})' if text else ''}: {why}"
            for (category, text), why in self.expected.items()
        )

    def _expects(self, leftover: Leftover) -> bool:
        return any(
            category is leftover.category and text in leftover.evidence
            for category, text in self.expected
        )


def expect(category: Category | str, text: str = "", *, why: str) -> None:
    """Declare that a leftover is expected, so that it is not a finding.

    Call it in a scenario, its setup or its probe; outside of an audit it has no effect. Reports
    list the expected leftovers with the reasons. A wrong answer, a lost slot or a swallowed
    cancellation can be expected, too, but rarely should be.

    Args:
        category: the category of the finding, such as ``"thread"``.
        text: a part of the evidence, such as the name of the thread; empty for the whole category.
        why: the reason, for the report.

    Raises:
        ValueError: if the category is unknown, or the reason is empty.

    Example:
        >>> expect("thread", "watchdog", why="one thread serves all connections and is kept")
    """
    if not why.strip():
        raise ValueError("why is empty; pass the reason why this leftover is expected")
    category = Category(category)
    current = session.get()
    if current is not None:
        current.expected[category, text] = why


@final
class CountingExecutor(ThreadPoolExecutor):
    """An executor with a set of its running calls, which may outlive the tasks that await them."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="audit-executor")
        self._calls = set[Future[object]]()
        self._lock = threading.Lock()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Make a call in a thread, which starts when the caller's present step has ended.

        Since CPython 3.14 a call that ends within that step does not suspend the caller. Without
        the delay, the number of suspensions would be random.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            suspended = threading.Event()
            loop.call_soon(suspended.set)
            fn = partial(_call_after, suspended, fn)
        call = super().submit(fn, *args, **kwargs)
        with self._lock:
            self._calls.add(call)
        call.add_done_callback(self._forget)
        return call

    @property
    def calls(self) -> frozenset[Future[object]]:
        """The calls that are running, or waiting for a thread."""
        with self._lock:
            return frozenset(self._calls)

    def _forget(self, call: Future[object]) -> None:
        with self._lock:
            self._calls.discard(call)


def _call_after(
    suspended: threading.Event, fn: AnyFunction, *args: object, **kwargs: object
) -> Any:
    suspended.wait(_MAX_DELAY_SECONDS)
    return fn(*args, **kwargs)
