"""The result of closing a scope: the body's exception and all errors as one exception (law 7).

Nothing here waits. `CloseResult` collects errors while the scope closes; at the end `conclude`
returns what to raise. The rules:

* Each error is reported once. Errors are compared by the leaves of their groups, by identity. A
  leaf that is reported already is left out, and the rest of its group is reported. So a resource
  that wraps the body's exception in a group, as every task group does, adds nothing.
* An error raised ``from`` the exception that finalizers see (a translation) replaces it.
* One error is raised bare, several in a group, the body's first.
* Errors take precedence over a cancellation, as in `asyncio.TaskGroup`; the cancellation stays
  requested: https://docs.python.org/3/library/asyncio-task.html#task-groups
* A cancellation that the scope itself made, to end its body, is not reported; nor is one that
  arrived during closing and has been withdrawn since.
* If the owner is cancelled too, the loss of a resource is not reported, because ``asyncio.run``
  cancels all tasks at its end.
"""

from __future__ import annotations

from asyncio import CancelledError
from typing import final

from withal._core.causes import ReportedErrors, is_a
from withal._core.errors import ResourceLostError
from withal._core.events import Outcome
from withal._core.outcome import one_of, outcome_of


@final
class CloseResult:
    """The exceptions of a scope since its body ended.

    Attributes:
        seen: the exception that finalizers see: the body's, until one of them suppresses or
            translates it.
        errors: the other errors, in the order in which they occurred.
        cancellation: the first cancellation that arrived while the scope was closing.
        ignore_suppression: whether finalizers cannot suppress `seen`, as when an opening was
            aborted.
    """

    cancellation: CancelledError | None = None
    ignore_suppression = False
    _translated: CancelledError | None = None
    _arrived: CancelledError | None = None
    _suppressed: ReportedErrors | None = None
    _reported: ReportedErrors | None = None  # created for the first error; most scopes have none

    def __init__(self, body: BaseException | None) -> None:
        self.seen = body
        self.errors: list[BaseException] = []

    @property
    def is_ok(self) -> bool:
        """Whether there is nothing to raise."""
        return self.seen is None and self.cancellation is None and not self.errors

    @property
    def was_cancelled(self) -> bool:
        """Whether a cancellation is among what happened, even if it has been translated since."""
        known = (self.cancellation, self._translated, self.seen)
        return any(is_a(each, CancelledError) for each in known)

    @property
    def outcome(self) -> Outcome:
        """The outcome, if the scope ended now."""
        if self.errors:
            return Outcome.ERROR
        return outcome_of(self.cancellation if self.seen is None else self.seen)

    def cancelled(self, cancellation: CancelledError | None) -> None:
        """Keep the first cancellation, to raise it when closing is done (law 6)."""
        if self.cancellation is None and cancellation is not self.seen:
            self.cancellation = cancellation

    def record_cancellation(self, cancellation: CancelledError | None) -> None:
        """Keep a cancellation of the closing task, which may still be withdrawn before the end.

        An inline cancel scope or timeout that has yet to close may have requested it; it withdraws
        its request when it closes.
        """
        self.cancelled(cancellation)
        if cancellation is self.cancellation:
            self._arrived = cancellation

    def suppress(self, saw: BaseException | None) -> None:
        """Drop the body's exception: a finalizer that was called with `saw` returned true.

        A translation by a finalizer that ran at the same time stays: `saw` is not that error.
        """
        if saw is not None and saw is self.seen and not self.ignore_suppression:
            self._suppressed = ReportedErrors()  # at most once: `seen` stays None after that
            self._suppressed.add(saw)
            self.seen = None
            self._reported = None

    def fail(self, error: BaseException, saw: BaseException | None = None) -> None:
        """Add an error (the part of it that is not reported yet), or a cancellation.

        Args:
            error: what a finalizer raised.
            saw: the exception that this finalizer was called with, or None.
        """
        if is_a(error, CancelledError):
            self.cancelled(error)
            return
        if self._reported is None:
            self._reported = ReportedErrors()
            for known in (*self.errors, *([] if self.seen is None else [self.seen])):
                self._reported.add(known)
        rest: BaseException | None = error
        if self._suppressed is not None and saw is not None:
            rest = self._suppressed.without(error)  # it may wrap what another has suppressed
        if rest is not None:
            rest = self._reported.without(rest)
        if rest is None:
            return
        is_translation = self._reported.add(rest, self.seen) and self.seen is not None
        if is_translation and rest is error:
            if is_a(self.seen, CancelledError):
                self._translated = self.seen
            self.seen = rest
        else:
            self.errors.append(rest)

    def conclude(
        self, scope: str, *, requested: bool, own: bool
    ) -> tuple[BaseException | None, CancelledError | None]:
        """Return the exception to raise, and a cancellation to deliver again after it.

        Args:
            scope: the scope's path, for the message of a group.
            requested: whether code outside the scope has requested to cancel the owner.
            own: whether the scope itself cancelled its body.
        """
        failures = list(self.errors)
        cancellation = self.cancellation
        if is_a(self.seen, CancelledError):
            # If the scope has cancelled its body, a later cancellation is from outside. That one is
            # kept, because its sender recognizes it by its message.
            if cancellation is None or not own:
                cancellation = self.seen
        elif self.seen is not None:
            failures.insert(0, self.seen)
        if cancellation is None and requested:
            cancellation = self._translated  # replaced by an error, but it must still be delivered
        if not requested and (own or cancellation is self._arrived):
            cancellation = None
        elif requested and cancellation is not None:
            lost = [each for each in failures if is_a(each, ResourceLostError)]
            failures = [each for each in failures if not is_a(each, ResourceLostError)]
            for each in lost:
                cancellation.add_note(str(each))
        if not failures:
            return cancellation, None
        error = one_of(f"scope {scope!r} ended with errors", failures)
        return error, cancellation if requested else None
