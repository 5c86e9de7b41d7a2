"""Closing a scope: which task may close it, the deadline, and the exception raised at the end."""

from __future__ import annotations

from asyncio import CancelledError, Task, current_task, get_running_loop
from collections.abc import Awaitable, Iterator, Sequence
from itertools import chain

from withal._core.aliases import Coro
from withal._core.causes import is_a
from withal._core.errors import CloseTimeoutError, ScopeClosedError
from withal._core.events import Outcome, Step
from withal._core.lifecycle import CLOSED, CLOSING, OPEN
from withal._core.outcome import raise_unchanged
from withal._core.resources.base import Resource
from withal._core.resources.inline import Inline
from withal._core.resources.managed import Managed
from withal._core.scopes.context_variables import owed, settle_owed
from withal._core.scopes.stages import ABANDON_AFTER_SECONDS, LEAST_SHARE, Closing
from withal._core.scopes.state import ScopeState
from withal._core.waiting.cancellation import deliver_again, requests_delivered, take_back
from withal._core.waiting.latch import BATCH_SIZE, Latch

STEP_SECONDS = 0.0005
"""A closing that does not wait gives the loop a turn after this time, checked after each exit
(law 11)."""


def check_closer(state: ScopeState) -> None:
    """Check that the calling task may close the scope.

    Raises:
        RuntimeError: if closing would wait for the calling task; or if the owner has entered
            something inline and still runs: then the scope closes when the owner has ended.
    """
    state.check_loop("close", state.name)
    task = current_task()
    if waits_for(state, task):
        within = state.resource_of(task)
        what = "one of its finalizers" if within is None else f"the task of {within.name!r}"
        raise RuntimeError(
            f"scope {state.path!r} cannot be closed by {what}, which closing would wait for; "
            "close it from another task, or return"
        )
    owner = state.owner()
    if state.phase is OPEN and owner is not None and not owner.done():
        for each in state.resources:
            if isinstance(each, Inline) and each.phase is not CLOSED:
                state.close_when_unowned()
                raise inline_elsewhere(state, each, f", and scope {state.name!r} be closed")


def waits_for(state: ScopeState, task: Task[object] | None) -> bool:
    """Return whether closing waits, or would wait, for this task."""
    return state.closed_by is task or state.resource_of(task) is not None


def inline_elsewhere(state: ScopeState, resource: Resource, more: str = "") -> RuntimeError:
    """Return the error for a task other than the owner that closes an inline resource."""
    return RuntimeError(
        f"{resource.name!r} was entered inline, by the task of scope {state.path!r}, and "
        f"can be released{more} by that task only; do so there"
    )


def close(
    state: ScopeState, exc: BaseException | None, closer: Task[object] | None
) -> Coro[BaseException | None] | None:
    """Close all resources, in order.

    Args:
        state: the scope.
        exc: the exception that its body ended with.
        closer: the calling task.

    Returns:
        None if all are closed and there is nothing to raise but `exc`. Otherwise a coroutine that
        closes the rest, and returns the exception to raise in place of `exc`.

    A hot path, in one function for this reason: while nothing waits or fails, and no one else can
    affect it, closing needs no `Closing`.
    """
    began = state.clock()
    state.set_closing()
    state.closed_by = closer
    outermost = state.outermost or state
    program = state.program_deadline
    if (
        exc is not None
        or outermost.closings
        or state.in_flight
        or state.cancelled_body
        or state.bound is not None
        or state.lost_need is not None
        or (program is not None and program.when is not None)
        or state.owner() is not closer
    ):
        closing = begin_closing(state, exc, closer)
        _begin(state, closing.deadline, closing.least)
        return _close_rest(state, closing, state.resources.closing())
    _begin(state, began + state.close_timeout, state.close_timeout * LEAST_SHARE)
    stages = state.resources.closing()
    count = 0
    try:
        for stage in stages:
            first = stage[0]
            if (
                len(stage) > 1
                or first.users
                or first.phase is not OPEN
                or not isinstance(first, Managed)
            ):
                return _close_rest(state, _closing_since(state, began), chain((stage,), stages))
            rest = first.close_at_once(None, closer)
            if rest is not None or first.error is not None:
                closing = _closing_since(state, began)
                return _close_rest(state, closing, stages, stage, closing.finish(first, rest))
            if owed or state.carried is not None:
                state.take_back(stage)
            count += 1
            if count == BATCH_SIZE or state.clock() - began > STEP_SECONDS:
                closing = _closing_since(state, began)
                return _close_rest(state, closing, stages, rest=closing.turn())
    except BaseException:  # unexpected, since the errors of finalizers are collected
        _end(state)
        raise
    state.clear()
    state.set_closed()
    if state.is_observed:
        state.send(Step.CLOSED, Outcome.OK)
    outermost.closings -= 1
    state.closed_by = None
    for latch in state.watchers:
        latch.arrive()
    return None


def _begin(state: ScopeState, deadline: float, least: float) -> None:
    """Record that closing has begun, and send the event."""
    state.deadline = deadline
    state.least = least
    (state.outermost or state).closings += 1
    if state.is_observed:
        state.send(Step.CLOSING)


def _closing_since(state: ScopeState, began: float) -> Closing:
    """Return the `Closing` of a scope that began to close at `began`, without an outer deadline."""
    return _new_closing(state, None, state.closed_by, began=began)


async def _close_rest(
    state: ScopeState,
    closing: Closing,
    stages: Iterator[Sequence[Resource]],
    stage: Sequence[Resource] = (),
    rest: Awaitable[None] | None = None,
) -> BaseException | None:
    """Close the rest of a scope's resources, and return the exception to raise.

    Args:
        state: the scope.
        closing: its closing.
        stages: what has not begun to close.
        stage: what is closing already.
        rest: what to await until that is closed.
    """
    is_over = True
    # A coroutine that is being closed by hand cannot wait. An asynchronous generator can.
    is_unwinding = is_a(closing.result.seen, GeneratorExit)
    count, turn_at = 0, state.clock() + STEP_SECONDS
    try:
        if state.in_flight:
            await _abort_pending_opens(state, closing)
        if rest is not None:
            await rest
        if owed or state.carried is not None:
            state.take_back(stage)
        for stage in stages:
            rest = closing.stage(stage)
            count += 1
            if rest is not None:
                await rest
                count, turn_at = 0, state.clock() + STEP_SECONDS  # waiting gives the loop a turn
            if owed or state.carried is not None:
                state.take_back(stage)
            if count == BATCH_SIZE or (state.clock() > turn_at and not is_unwinding):
                await closing.turn()
                count, turn_at = 0, state.clock() + STEP_SECONDS
        return _has_closed(state, closing)
    except GeneratorExit:
        is_over = not _hand_on(state, closing)
        raise
    finally:
        if is_over:
            _end(state)


def _end(state: ScopeState) -> None:
    (state.outermost or state).closings -= 1
    state.closed_by = None
    if state.phase is not CLOSED:  # something unexpected was raised
        state.set_closed()
    for latch in state.watchers:
        latch.arrive()


# The loop keeps only weak references to tasks, so these are kept here:
# https://docs.python.org/3/library/asyncio-task.html#asyncio.create_task
_closing_in_new_tasks: set[Task[None]] = set()


def _hand_on(state: ScopeState, closing: Closing) -> bool:
    """Close the rest in a new task, because the coroutine of the closing task was closed.

    This happens to an async generator that holds a scope, if the task that finalizes it is
    cancelled before it has begun, as at the end of ``asyncio.run``: its ``aclose`` throws first
    the cancellation and then a `GeneratorExit` into the coroutine that awaits the closing. Returns
    false if the scope's loop is not running.
    """
    try:
        if get_running_loop() is not state.loop:
            return False
    except RuntimeError:
        return False
    task = state.loop.create_task(_close_rest_in_new_task(state, closing), name=state.path)
    _closing_in_new_tasks.add(task)
    task.add_done_callback(_closing_in_new_tasks.discard)
    return True


async def _close_rest_in_new_task(state: ScopeState, closing: Closing) -> None:
    state.closed_by = closing.closer = current_task()
    state.error_left = await _close_rest(state, closing, state.resources.closing())


async def close_again(
    state: ScopeState, exc: BaseException | None, task: Task[object] | None
) -> BaseException | None:
    """Wait until the scope has closed, and return the exception to raise in place of `exc`.

    For a task that closes the scope a second time, such as the owner after another task's `aclose`.
    """
    assert task is not None
    floor = requests_delivered(task) - is_a(exc, CancelledError)
    cancellation = None
    settle_owed()
    if state.phase is CLOSING:
        latch = Latch(state.loop, 1)
        state.watchers = (*state.watchers, latch)
        cancellation = await latch.wait_uncancellable()
        settle_owed()
    error, state.error_left = state.error_left, None
    if state.cancelled_body and state.is_owned_by(task):
        state.cancelled_body = False
        if not take_back(task, state.baseline, own=True):
            if is_a(exc, CancelledError):
                exc = None
                if error is None:
                    error = ScopeClosedError(state.path, CLOSED.value, state.name)
            cancellation = None
    error = exc if error is None else error
    if cancellation is None or error is None or is_a(error, CancelledError):
        return cancellation if error is None else error
    deliver_again(task, cancellation, floor)
    return error


async def close_unowned(state: ScopeState) -> None:
    """Close, and keep the exception for a task that closes the scope later, if one does."""
    rest = close(state, None, current_task()) if state.phase is OPEN else None
    if rest is not None:
        state.error_left = await rest


# One closing, of the scope or of a part of it


def begin_closing(
    state: ScopeState, body: BaseException | None, closer: Task[object] | None
) -> Closing:
    """Return a new closing, bounded by that of the nearest parent that is closing.

    Args:
        state: the scope whose resources are closed.
        body: the exception that finalizers see.
        closer: the calling task.
    """
    around: ScopeState | None = state if (state.outermost or state).closings else None
    while around is not None and around.deadline is None:
        around = around.parent
    program = state.program_deadline
    outer, least = state.bound, state.least
    if around is not None:
        outer = _sooner(outer, around.deadline)
        least = around.least
    if program is not None:
        outer = _sooner(outer, program.when)
    return _new_closing(state, body, closer, outer=outer, least=least)


def _new_closing(
    state: ScopeState,
    body: BaseException | None,
    closer: Task[object] | None,
    *,
    outer: float | None = None,
    least: float | None = None,
    began: float | None = None,
) -> Closing:
    closing = Closing(
        state.loop, state.clock, state.close_timeout, outer, body, began=began, least=least
    )
    closing.closer = closer
    closing.floor = requests_seen(state, closer, body)
    if state.program_deadline is not None:
        state.program_deadline.watch(closing)
    return closing


def end_closing(
    state: ScopeState, closing: Closing, *, requested: bool, own: bool
) -> BaseException | None:
    """End a closing of a part of the scope, and return the exception to raise.

    Args:
        state: the scope whose resources were closed.
        closing: the closing.
        requested: whether code outside the scope has requested to cancel the calling task.
        own: whether the task was cancelled because of a loss that is among the errors.
    """
    if closing.overdue:
        _report(state, closing)
    error, again = closing.result.conclude(state.path, requested=requested, own=own)
    _deliver_again(again, closing.floor)
    return error


def raise_result(state: ScopeState, closing: Closing) -> None:
    """End a closing of a part of the scope, and raise its exception, if there is one."""
    requested = closing.result.was_cancelled
    error = end_closing(state, closing, requested=requested, own=False)
    if error is not None:
        raise_unchanged(error)


def requests_seen(
    state: ScopeState, task: Task[object] | None, delivered: BaseException | None = None
) -> int:
    """Return how many requests to cancel were delivered to `task` before `delivered`."""
    if task is None or (state.phase is not OPEN and state.owner() is task):
        return state.baseline
    return requests_delivered(task) - is_a(delivered, CancelledError)


async def _abort_pending_opens(state: ScopeState, closing: Closing) -> None:
    """Wake the tasks that are opening something in this scope, so that they abort."""
    state.idle = Latch(state.loop, len(state.in_flight))
    for opening in state.in_flight:
        if isinstance(opening, Latch):
            opening.open()
    # They have the same deadline, plus the time to cancel an opening that is late, and to cancel it
    # again while it closes: resources that are opening close before those that are open.
    until = max(closing.last_call, state.clock()) + 4 * ABANDON_AFTER_SECONDS
    await closing.join(state.idle, until)


def _has_closed(state: ScopeState, closing: Closing) -> BaseException | None:
    """Release all references, and return the exception to raise."""
    state.clear()
    if state.lost_need is not None:
        closing.result.fail(state.lost_need)
    if closing.overdue:
        _report(state, closing)
    state.set_closed()
    if state.is_observed:
        state.send(Step.CLOSED, closing.result.outcome)
    if closing.result.is_ok and not state.cancelled_body:
        return None
    error = _conclude(state, closing)
    if state.cancelled_body and not state.is_owned_by(closing.closer):
        state.error_left = error  # raised by the owner, which has been cancelled for this reason
    return error


def _conclude(state: ScopeState, closing: Closing) -> BaseException | None:
    ending, closer = closing.result, closing.closer
    by_owner = state.is_owned_by(closer)
    own = state.cancelled_body and by_owner
    # If another task closes the scope, its requests from before are not known: only a cancellation
    # that arrived during closing counts.
    requested = (
        take_back(closer, state.baseline, own=own)
        if by_owner and closer is not None
        else ending.cancellation is not None
    )
    error, again = ending.conclude(state.path, requested=requested, own=own)
    _deliver_again(again, closing.floor)
    return error


def _report(state: ScopeState, closing: Closing) -> None:
    """Add an error that names the resources that had not closed in time."""
    late = tuple(each.name for each in closing.overdue)
    left = tuple(each.name for each in closing.abandoned)
    error = CloseTimeoutError(state.path, closing.timeout, late, left, hurried=closing.hurried)
    closing.result.fail(error)


def _deliver_again(cancellation: CancelledError | None, floor: int) -> None:
    """Cancel the calling task again, if an error has replaced a cancellation."""
    task = current_task()
    if cancellation is not None and task is not None:
        deliver_again(task, cancellation, floor)


def _sooner(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
