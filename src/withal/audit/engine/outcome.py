"""Outcomes: how a scenario or a probe has ended, and whether that is a problem."""

from __future__ import annotations

from asyncio import CancelledError, Task

from withal.audit.engine.delivery import CaughtCancellation
from withal.audit.engine.injection import ScenarioWatch
from withal.audit.inspect.stacks import describe_error, raised_at, traceback_of
from withal.audit.leftover import Leftover
from withal.audit.report.record import Category, Delivery
from withal.audit.scenario import ScenarioError


def classify_baseline(task: Task[object]) -> tuple[str, str]:
    """Return how a scenario has ended without a cancellation, and why it failed, if it did."""
    try:
        error = task.exception()
    except CancelledError as cancelled:
        return "cancelled", f"it raises CancelledError without a cancellation{raised_at(cancelled)}"
    return (
        ("returned", "")
        if error is None
        else (f"raised {describe_error(error)}", failure_of(error))
    )


def classify_attempt(task: Task[object], watch: ScenarioWatch) -> tuple[str, Leftover | None]:
    """Return how a cancelled scenario has ended, and the problem, if there is one."""
    if task.cancelled():
        return "cancelled", _classify_cancelled(watch)
    error = task.exception()
    if error is not None:
        return f"raised {describe_error(error)}", _classify_error(error, watch)
    if task.result() is CaughtCancellation:
        return "cancelled", None
    return "returned", _classify_returned(watch)


def _classify_cancelled(watch: ScenarioWatch) -> Leftover | None:
    if watch.strikes == 1:  # the timeout or scope around it should have caught its own request
        if watch.own_delivery is Delivery.TIMEOUT:
            return _swallowed("the expired timeout did not recognize its own cancellation")
        if watch.own_delivery is Delivery.ANYIO:
            return _swallowed("the cancelled scope did not recognize its own cancellation")
    return None


def _classify_error(error: BaseException, watch: ScenarioWatch) -> Leftover | None:
    if watch.own_delivery in {None, Delivery.ERROR}:
        return None
    words = f"it raised {describe_error(error)} instead of the cancellation"
    return Leftover(Category.CLEANUP, "outcome", words, traceback_of(error))


def _classify_returned(watch: ScenarioWatch) -> Leftover | None:
    if watch.own_delivery in {None, Delivery.ERROR}:
        return None
    if watch.own_delivery is Delivery.ANYIO and not watch.was_notified:
        return None  # a shield has kept the cancellation away until the end
    return _swallowed("it was cancelled, but returned normally")


def _swallowed(evidence: str) -> Leftover:
    return Leftover(Category.SWALLOWED, "outcome", evidence)


def classify_probe(task: Task[object], when: str) -> Leftover | None:
    """Return the problem that the probe has found, if there is one."""
    if task.cancelled():
        return Leftover(Category.WRONG_ANSWER, PROBE, f"used again {when}, it was cancelled")
    error = task.exception()
    if error is None:
        return None
    words = f"used again {when}, it raised {describe_error(error)}"
    category = Category.SLOT if _is_timeout(error) else Category.WRONG_ANSWER
    return Leftover(category, PROBE, words, traceback_of(error))


PROBE = "probe"
"""The kind of a leftover that a probe has found."""


def _is_timeout(error: BaseException) -> bool:
    """Return whether a wait timed out; libraries have own errors with "Timeout" in the name."""
    return isinstance(error, TimeoutError) or "Timeout" in type(error).__name__


def failure_of(error: BaseException) -> str:
    """Return why a run has failed, as text."""
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
    return f"it raises {describe_error(error)}{raised_at(error)}"
