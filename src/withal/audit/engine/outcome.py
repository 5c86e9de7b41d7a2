"""Judgement: how a scenario, or a probe, has ended, and what is wrong with that."""

from __future__ import annotations

from asyncio import CancelledError, Task

from withal.audit.engine.delivery import GaveUp
from withal.audit.engine.injection import Watch
from withal.audit.inspect.stacks import raised_at, told, traceback_of
from withal.audit.leftover import Piece
from withal.audit.report.record import Category, Delivery
from withal.audit.scenario import ScenarioError


def judge_alone(task: Task[object]) -> tuple[str, str]:
    """Return how a scenario has ended without a cancellation, and why it failed, if it did."""
    if task.cancelled():
        return "cancelled", "it cancels itself"
    error = task.exception()
    return ("returned", "") if error is None else (f"raised {told(error)}", failure_of(error))


def judge(task: Task[object], watch: Watch) -> tuple[str, Piece | None]:
    """Return how a scenario has ended that was to be cancelled, and what is wrong with that."""
    if task.cancelled():
        return "cancelled", _judge_cancelled(watch)
    error = task.exception()
    if error is not None:
        return f"raised {told(error)}", _judge_error(error, watch)
    if task.result() is GaveUp:
        return "cancelled", None
    return "returned", _judge_returned(watch)


def _judge_cancelled(watch: Watch) -> Piece | None:
    if watch.strikes == 1:  # what is around it was to catch its own request, and only that
        if watch.struck_itself is Delivery.TIMEOUT:
            return _swallowed("the timeout that expired did not know its own cancellation")
        if watch.struck_itself is Delivery.ANYIO:
            return _swallowed("the scope that was cancelled did not know its own cancellation")
    return None


def _judge_error(error: BaseException, watch: Watch) -> Piece | None:
    if watch.struck_itself in {None, Delivery.ERROR}:
        return None
    words = f"it raised {told(error)} in place of the cancellation"
    return Piece(Category.CLEANUP, "outcome", words, traceback_of(error))


def _judge_returned(watch: Watch) -> Piece | None:
    if watch.struck_itself in {None, Delivery.ERROR}:
        return None
    if watch.struck_itself is Delivery.ANYIO and not watch.was_told:
        return None  # a shield has kept it away until the end
    return _swallowed("it was cancelled, and returned as if nobody had")


def _swallowed(evidence: str) -> Piece:
    return Piece(Category.SWALLOWED, "outcome", evidence)


def judge_probe(task: Task[object], when: str) -> Piece | None:
    """Return what is wrong with the environment, as its probe has found it."""
    if task.cancelled():
        return Piece(Category.WRONG_ANSWER, PROBE, f"used again {when}, it was cancelled")
    error = task.exception()
    if error is None:
        return None
    words = f"used again {when}, it raised {told(error)}"
    category = Category.SLOT if _is_timeout(error) else Category.WRONG_ANSWER
    return Piece(category, PROBE, words, traceback_of(error))


PROBE = "probe"
"""The kind of what a probe has found."""


def _is_timeout(error: BaseException) -> bool:
    """Return whether a wait timed out: libraries have timeout errors of their own, by that name."""
    return isinstance(error, TimeoutError) or "Timeout" in type(error).__name__


def failure_of(error: BaseException) -> str:
    """Return why a run was not possible at all."""
    if isinstance(error, ScenarioError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"it ends the program: {error!r}"
    if isinstance(error, CancelledError):
        return "it cancels tasks that are not its own"
    if isinstance(error, RuntimeError) and "Event loop stopped" in str(error):
        return "it stops the event loop"
    if isinstance(error, RuntimeError) and "Cannot close a running event loop" in str(error):
        return "it closes the event loop"
    return f"it raises {told(error)}{raised_at(error)}"
