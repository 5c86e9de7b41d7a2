"""The session: what of an audit its scenario's fixtures can reach, wherever they are called."""

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

from withal.audit.leftover import Leftover
from withal.audit.report.record import Category
from withal.audit.stopping import StopRequest

session: ContextVar[AuditSession | None] = ContextVar("session", default=None)

_MAX_DELAY_SECONDS = 0.05  # of a call in a thread: code may block the loop to wait for it


@final
class AuditSession:
    """One audit, as its fixtures see it.

    Attributes:
        timeout: seconds that each use of the environment may take.
        stop: whether the audit is to end early.
        kept: what lasts for the whole audit, and is closed with it.
        shared: the same by name, for fixtures that ask for one thing in each attempt.
        processes: those that are kept, which do not end with the attempt that has started them.
        noted: what fixtures have found in this attempt.
        task: the scenario's own, of this attempt, once it has been started. Weakly, so that what
            it has dropped can be collected.
        unmet: what fixtures have prepared and the scenario did not use, in this attempt.
        expected: what is left behind by design: the category and a part of the evidence, and why.
        timers: what bounds the setup and the tear-down: while only these are left, nothing can wake
            a task.
        tasks: those of fixtures, which are not leftovers.
        queues: the fixtures of this attempt in which the scenario is to stand first.
        gates: what asks a fixture, at this suspension, whether the scenario may be cancelled yet.
    """

    def __init__(self, kept: ExitStack, timeout: float, stop: StopRequest | None = None) -> None:
        self.timeout = timeout
        self.stop: StopRequest = stop or StopRequest()
        self.timers: set[object] = set[object]()
        self.tasks: WeakSet[Task[Any]] = WeakSet()
        self.kept = kept
        self.shared: dict[object, Any] = {}
        self.processes: set[int] = set[int]()
        self.noted: list[Leftover] = []
        self.task: ReferenceType[Task[Any]] | None = None
        self.unmet: list[str] = []
        self.expected: dict[tuple[Category, str], str] = {}
        self.queues: list[object] = []
        self.gates: dict[CodeType, Callable[[], bool]] = {}

    def begin_attempt(self) -> None:
        """Forget what the attempt before has left here."""
        self.noted.clear()
        self.unmet.clear()
        self.gates.clear()
        self.queues.clear()
        self.task = None

    def unexpected(self, leftovers: list[Leftover]) -> list[Leftover]:
        """Return the leftovers that are not there by design."""
        return [leftover for leftover in leftovers if not self._expects(leftover)]

    @property
    def expectations(self) -> tuple[str, ...]:
        """What is there by design, and why, as reports tell it."""
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
    """Say that something is left behind by design, and is not a finding.

    Called in a scenario, its setup or its probe; outside of an audit it does nothing. Reports list
    what is expected, and why. A wrong answer, a lost slot or a swallowed cancellation can be
    expected too; think twice.

    Args:
        category: the category of the finding, such as ``"thread"``.
        text: a part of the evidence, such as the name of the thread; all of the category if empty.
        why: the reason, for those who read the report.

    Raises:
        ValueError: there is no such category, or the reason is empty.

    Example:
        >>> expect("thread", "watchdog", why="one thread serves all connections and is kept")
    """
    if not why.strip():
        raise ValueError("why is empty; say why this is left behind by design")
    category = Category(category)
    current = session.get()
    if current is not None:
        current.expected[category, text] = why


@final
class CountingExecutor(ThreadPoolExecutor):
    """Knows which of its calls still run: they outlive what waited for them."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="audit-executor")
        self._calls = set[Future[Any]]()
        self._lock = threading.Lock()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Make a call in a thread, which starts when the caller's step in the loop has ended.

        A call that ends within that step is never awaited from CPython 3.14 on. Then it would be
        by chance whether there is a suspension.
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
    def calls(self) -> frozenset[Future[Any]]:
        """The calls that still run, or wait for a thread."""
        with self._lock:
            return frozenset(self._calls)

    def _forget(self, call: Future[Any]) -> None:
        with self._lock:
            self._calls.discard(call)


def _call_after(
    suspended: threading.Event, fn: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    suspended.wait(_MAX_DELAY_SECONDS)
    return fn(*args, **kwargs)
