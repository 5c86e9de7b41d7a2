"""How a scope ends: the body's outcome and the errors since then, made into one exception (law 7).

Pure: nothing here waits. `CloseResult` gathers while the scope closes, and `conclude` says at the
    end what is to be raised, so that the rules stand in one place:

* One cause is reported once. Errors are compared by the leaves of their groups, by identity: a
  leaf that is reported already is left out, and what is left of its group is reported. A resource
  that wraps what it saw in a group, as every task group does, has added nothing.
* An error raised ``from`` the one that finalizers see, a translation, stands for both.
* One error is raised bare, several in a group, the body's first.
* Errors win over a cancellation, as in `asyncio.TaskGroup`; the cancellation stays requested.
* A cancellation that the scope itself caused, to have its body leave, is not reported, nor is one
  that came while it closed and has been taken back since.
* Where the owner is cancelled too, the loss of a resource is not reported: a loop that shuts down
  cancels all of its tasks.
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
    """What has happened to a scope since its body ended.

    Attributes:
        seen: the exception that finalizers see: the body's, until one of them suppresses or
            translates it.
        errors: what failed besides, in the order of failing.
        cancellation: the first cancellation that arrived while the scope was closing.
        ignore_suppression: finalizers cannot suppress what they see, as that an opening was given
            up.
    """

    cancellation: CancelledError | None = None
    ignore_suppression = False
    _translated: CancelledError | None = None
    _arrived: CancelledError | None = None
    _suppressed: ReportedErrors | None = None
    _reported: ReportedErrors | None = None  # made for the first error: most scopes end without

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
        """How it would end, were it to end now."""
        if self.errors:
            return Outcome.ERROR
        return outcome_of(self.cancellation if self.seen is None else self.seen)

    def cancelled(self, cancellation: CancelledError | None) -> None:
        """Keep the first cancellation for when closing is done (law 6)."""
        if self.cancellation is None and cancellation is not self.seen:
            self.cancellation = cancellation

    def record_cancellation(self, cancellation: CancelledError | None) -> None:
        """Keep a cancellation of the task that closes, unless the request is taken back by then.

        An inline scope or timeout that is yet to close may have made it, and takes it back.
        """
        self.cancelled(cancellation)
        if cancellation is self.cancellation:
            self._arrived = cancellation

    def suppress(self) -> None:
        """Drop the body's exception: a finalizer returned true."""
        if self.seen is not None and not self.ignore_suppression:
            self._suppressed = ReportedErrors()  # once: nothing is seen again after that
            self._suppressed.add(self.seen)
            self.seen = None
            self._reported = None

    def fail(self, error: BaseException, saw: BaseException | None = None) -> None:
        """Add an error, or what of it is not reported yet, or a cancellation.

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
            rest = self._suppressed.without(error)  # one beside it has suppressed what it wraps
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
        """Return what to raise, and a cancellation that is still to be delivered after it.

        Args:
            scope: the scope's path, for the message of a group.
            requested: something outside has asked to cancel the owner.
            own: the scope itself cancelled its body.
        """
        failures = list(self.errors)
        cancellation = self.cancellation
        if is_a(self.seen, CancelledError):
            # Where the scope has cancelled its body, what came later is from outside, and has the
            # message by which its sender knows it.
            if cancellation is None or not own:
                cancellation = self.seen
        elif self.seen is not None:
            failures.insert(0, self.seen)
        if cancellation is None and requested:
            cancellation = self._translated  # into an error: it is owed all the same
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
