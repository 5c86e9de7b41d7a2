"""The check of a context manager, used in each way that a program may use it.

Each way is tried on a fresh manager, in a task of its own. The check then searches for what the
manager leaves behind. The injector of the audit cancels the manager at each wait of its enter and
its exit, not at each turn of the loop: a wait for a peer may last any number of turns. So the check
works in virtual time and in real time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias, final

from withal._core.aliases import Coro
from withal._core.lifecycle import CLOSING, OPENING, Phase
from withal._core.managers import Manager, name_of
from withal._core.outcome import one_of
from withal._core.scope import Scope
from withal._core.scopes.close_result import CloseResult
from withal.audit.engine.injector import Injector
from withal.testing.deadlock import describe_waits
from withal.testing.findings import Finding, ManagerCheckError, ManagerReport
from withal.testing.leftovers import Snapshot
from withal.testing.watched import Injectors, StruckTasks, Watched

Body: TypeAlias = Callable[[], Coro[None]]

_MAX_WAITS = 100  # of one enter or exit; enough for any manager that does not poll


async def check_manager(
    factory: Callable[[], Manager[object]], *, deadline: float = 5.0, suppresses: bool = False
) -> ManagerReport:
    """Use new managers in many ways, and raise one error that lists all problems.

    It looks for: errors of enter and exit; an exit that swallows or replaces the body's exception
    or cancellation; problems if the manager is entered in a task of its own (``scope.enter``),
    inline, or closed in another order than opened; tasks, descriptors and threads left behind, also
    after a cancellation at each wait of enter and exit, through a `Scope`; and hanging, also when
    it is entered again. A check without findings is evidence, not a proof.

    It runs in the caller's loop. Resources that other tasks open there meanwhile are attributed to
    the manager. In virtual time (`withal.testing.run`) waits for timers take no time.

    Args:
        factory: returns a new manager each time, asynchronous or synchronous. Two of them are open
            at the same time.
        deadline: seconds of the loop's clock that one use may take, including its closing.
        suppresses: whether the manager may swallow exceptions of the body (never a cancellation).

    Returns:
        The checks that were made.

    Raises:
        ManagerCheckError: if there is a finding.
        TypeError: if `factory` does not return a context manager.
        ValueError: if `deadline` is not above zero.
        BaseException: the exception that `factory` raises.

    Example:
        >>> import asyncio
        >>> from withal import testing
        >>> report = testing.run(testing.check_manager(lambda: testing.Resource(opening=1)))
        >>> report.manager, report.opening_waits, report.closing_waits
        ('Resource', 1, 0)
        >>> report.checks[:3]
        ('used', 'entered again', 'body raises')
    """
    if not deadline > 0:
        raise ValueError(f"deadline must be more than zero seconds; got {deadline!r}")
    return await _Check(factory, deadline, suppresses).report()


@final
class _BodyError(Exception):
    """Raised by a body to see how the manager treats it."""


async def _nothing() -> None:
    """Serve as the body that succeeds."""


async def _forever() -> None:
    await asyncio.Event().wait()


async def _use(watched: Watched, body: Body = _nothing) -> None:
    async with watched:
        await body()


@final
class _Check:
    """One check of one kind of manager, and its findings so far."""

    def __init__(
        self, factory: Callable[[], Manager[object]], deadline: float, suppresses: bool
    ) -> None:
        self._factory = factory
        self._deadline = deadline
        self._suppresses = suppresses
        self._manager = ""
        self._trying = ""
        self._runs = 0
        self._checks: list[str] = []
        self._findings: list[Finding] = []
        self._errors: list[BaseException] = []

    async def report(self) -> ManagerReport:
        # A first use, without counting: resources created once for the process are not leaks.
        await self._used(count=False)
        if self._findings:
            raise self._error()  # a manager that fails here fails all other checks too
        await self._used()
        await self._entered_again()
        await self._body_raises()
        await self._body_is_cancelled()
        await self._in_scope("hosted", inline=False)
        await self._in_scope("inline", inline=True)
        await self._out_of_order()
        opening = await self._cancelled_at_each_wait("opening", OPENING)
        closing = await self._cancelled_at_each_wait("closing", CLOSING)
        if self._findings:
            raise self._error()
        return ManagerReport(self._manager, tuple(self._checks), self._runs, opening, closing)

    # Ways to use a manager

    async def _used(self, *, count: bool = True) -> None:
        self._begin_check("used")
        self._expect_success(await self._run(_use(self._new()), count=count))

    async def _entered_again(self) -> None:
        self._begin_check("entered again")
        watched = self._new()
        self._expect_success(await self._run(_use(watched)))
        await self._run(_use(watched))  # it may succeed or raise, but not hang

    async def _body_raises(self) -> None:
        self._begin_check("body raises")
        error = _BodyError("the body's own")

        async def fail() -> None:
            raise error

        self._expect_error(await self._run(_use(self._new(), fail)), error)

    async def _body_is_cancelled(self) -> None:
        self._begin_check("body is cancelled")

        async def cancelled() -> None:
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_soon(task.cancel)
            await _forever()

        self._expect_cancelled(await self._run(_use(self._new(), cancelled)))

    async def _in_scope(self, how: str, *, inline: bool) -> None:
        self._begin_check(f"{how} in a scope")

        async def main() -> None:
            async with self._scope() as scope:
                await scope.enter(self._new(), name=self._manager, inline=inline)

        self._expect_success(await self._run(main()))

    async def _out_of_order(self) -> None:
        self._begin_check("closed out of order")

        async def main() -> None:
            first, second = self._new(), self._new()
            async with self._scope() as scope:
                await scope.enter(first, name=f"the first {self._manager}")
                await scope.enter(second, name=f"the second {self._manager}")
                await scope.release(first)

        self._expect_success(await self._run(main()))

    async def _cancelled_at_each_wait(self, step: str, phase: Phase) -> int:
        """Cancel at the first wait of a step, the second, and so on; return how many there are."""
        self._begin_check(f"cancelled while {step}")
        before = len(self._findings)
        for number in range(1, _MAX_WAITS + 1):
            self._trying = f"cancelled at wait {number} while {step}"
            struck = StruckTasks(phase)
            injector = Injector((number,), struck_by=struck)
            watched = self._new({phase: injector})
            task = await self._run(self._cancelled_in_scope(watched, struck))
            if not injector.strikes:
                return number - 1
            self._expect_cancelled(task)
            if watched.opened != watched.closed:
                self._find(f"it opened {watched.opened} times and closed {watched.closed} times")
            if len(self._findings) > before:
                return number  # later waits would have the same finding
        return _MAX_WAITS

    async def _cancelled_in_scope(self, watched: Watched, struck: StruckTasks) -> None:
        struck.owner = asyncio.current_task()
        async with self._scope() as scope:
            await scope.enter(watched, name=self._manager)

    def _scope(self) -> Scope:
        return Scope("check", close_timeout=self._deadline, parent=None)

    def _new(self, injectors: Injectors | None = None) -> Watched:
        manager = self._factory()
        self._manager = name_of(manager)
        self._runs += 1
        return Watched(manager, injectors)

    # Outcomes

    async def _run(self, main: Coro[None], *, count: bool = True) -> asyncio.Task[None] | None:
        """Run this in a task, and find what it leaves behind; return None if it was overdue."""
        before = Snapshot.take()
        task = asyncio.create_task(main, name="check")
        try:
            await asyncio.wait((task,), timeout=self._deadline)
        finally:
            in_time = not task.cancel()
        if not in_time:
            await self._cancel_overdue(task, before)
        if task.done() and count:
            for each in await before.leftovers():
                self._find(f"it leaves behind {each}")
        return task if in_time else None

    async def _cancel_overdue(self, task: asyncio.Task[None], before: Snapshot) -> None:
        tasks = "; ".join(describe_waits(asyncio.all_tasks() - before.tasks))
        self._find(f"it did not end within {self._deadline:g} s, and waits: {tasks}")
        await asyncio.wait((task,), timeout=self._deadline)

    def _expect_success(self, task: asyncio.Task[None] | None) -> None:
        if task is not None:
            self._expect_none(_outcome(task))

    def _expect_error(self, task: asyncio.Task[None] | None, error: Exception) -> None:
        """Expect the error itself, or one that contains it: a group, or one raised from it."""
        if task is None:
            return
        outcome = _outcome(task)
        if outcome is None and not self._suppresses:
            self._find("its exit swallows the exception; if that is intended, pass suppresses=True")
        elif outcome is not None and not _is_about(outcome, error):
            self._expect_none(outcome)

    def _expect_cancelled(self, task: asyncio.Task[None] | None) -> None:
        if task is None or task.cancelled():
            return
        if task.exception() is None:
            self._find("it swallows the cancellation; raise CancelledError again")
        self._expect_none(task.exception())

    def _expect_none(self, error: BaseException | None) -> None:
        if error is not None:
            self._find(f"it raised {error!r}")
            self._errors.append(error)

    def _begin_check(self, check: str) -> None:
        self._trying = check
        if check not in self._checks:
            self._checks.append(check)

    def _find(self, problem: str) -> None:
        self._findings.append(Finding(self._trying, problem))

    def _error(self) -> ManagerCheckError:
        error = ManagerCheckError(self._manager, tuple(self._findings))
        if self._errors:
            error.__cause__ = one_of("raised while it was checked", self._errors)
        return error


def _is_about(outcome: BaseException, error: Exception) -> bool:
    """Return whether a scope whose body fails with `error` would raise this `outcome` for it."""
    ending = CloseResult(error)
    ending.fail(outcome)
    return not ending.errors and ending.cancellation is None


def _outcome(task: asyncio.Task[None]) -> BaseException | None:
    """Return what a task ended with, a cancellation included."""
    return asyncio.CancelledError() if task.cancelled() else task.exception()
