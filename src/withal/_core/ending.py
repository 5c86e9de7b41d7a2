"""How a scope ends: the body's outcome and the errors since then, made into one exception (law 7).

Pure: nothing here waits. `Ending` gathers while the scope closes, and `conclude` says at the end
what is to be raised, so that the rules stand in one place:

* An error that tells of another - is it, contains it in a group, or was raised ``from`` it - stands
  for both. A task group that wraps the body's error, or a manager that translates it, is therefore
  reported once.
* One error is raised bare, several in a group, the body's first.
* Errors win over a cancellation, as in `asyncio.TaskGroup`; the cancellation stays requested.
* A cancellation that the scope itself caused, to have its body leave, is not reported, nor is one
  that came while it closed and has been taken back since.
* Where the owner is cancelled too, that a resource was is no news: a loop that shuts down cancels
  all of its tasks.
"""

from __future__ import annotations

from asyncio import CancelledError
from contextlib import suppress
from typing import TypeVar, cast, final

from withal._core.errors import ResourceLostError
from withal._core.events import Outcome

E = TypeVar("E", bound=BaseException)


@final
class Ending:
    """What has happened to a scope since its body ended.

    Attributes:
        seen: the exception that finalizers see: the body's, until one of them suppresses or
            translates it.
        errors: what failed besides, in the order of failing.
        cancellation: the first cancellation that arrived while the scope was closing.
        insists: finalizers cannot suppress what they see, as that an opening was given up.
    """

    errors: tuple[BaseException, ...] = ()
    cancellation: CancelledError | None = None
    insists = False
    _translated: CancelledError | None = None
    _arrived: CancelledError | None = None

    def __init__(self, body: BaseException | None) -> None:
        self.seen = body

    @property
    def is_ok(self) -> bool:
        """Whether there is nothing to raise."""
        return self.seen is None and self.cancellation is None and not self.errors

    @property
    def was_cancelled(self) -> bool:
        """Whether a cancellation is among what happened, even if it has been translated since."""
        known = (self.cancellation, self._translated, self.seen)
        return any(isinstance(each, CancelledError) for each in known)

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

    def interrupted(self, cancellation: CancelledError | None) -> None:
        """Keep a cancellation of the task that closes, unless the request is taken back by then.

        An inline scope or timeout that is yet to close may have made it, and takes it back.
        """
        self.cancelled(cancellation)
        if cancellation is self.cancellation:
            self._arrived = cancellation

    def suppress(self) -> None:
        """Drop the body's exception: a finalizer returned true."""
        if not self.insists:
            self.seen = None

    def fail(self, error: BaseException) -> None:
        """Add an error, unless one that is known already tells of it, or a cancellation."""
        if isinstance(error, CancelledError):
            self.cancelled(error)
        elif self.seen is not None and _tells_of(error, self.seen):
            if isinstance(self.seen, CancelledError):
                self._translated = self.seen
            self.seen = error
        elif not any(_tells_of(known, error) for known in self._known()):
            self.errors += (error,)

    def _known(self) -> tuple[BaseException, ...]:
        return self.errors if self.seen is None else (self.seen, *self.errors)

    def conclude(
        self, scope: str, *, requested: bool, own: bool
    ) -> tuple[BaseException | None, CancelledError | None]:
        """Return what to raise, and a cancellation that is still to be delivered after it.

        Args:
            scope: the scope's path, for the message of a group.
            requested: somebody outside has asked to cancel the owner.
            own: the scope itself cancelled its body.
        """
        failures = list(self.errors)
        cancellation = self.cancellation
        if isinstance(self.seen, CancelledError):
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
            lost = [each for each in failures if isinstance(each, ResourceLostError)]
            failures = [each for each in failures if each not in lost]
            for each in lost:
                cancellation.add_note(str(each))
        if not failures:
            return cancellation, None
        error = one_of(f"scope {scope!r} ended with {len(failures)} errors", failures)
        return error, cancellation if requested else None


def one_of(message: str, errors: list[E]) -> E | BaseExceptionGroup[E]:
    """Return the only error bare, or several as a group."""
    return errors[0] if len(errors) == 1 else BaseExceptionGroup(message, errors)


def outcome_of(error: BaseException | None) -> Outcome:
    """Return how something ended that ended with this."""
    if error is None:
        return Outcome.OK
    return Outcome.CANCELLED if isinstance(error, CancelledError) else Outcome.ERROR


def raise_unchanged(error: BaseException) -> None:
    """Raise an error with the context it has, not with what happens to be handled just now."""
    context = error.__context__
    try:
        raise error
    finally:
        with suppress(Exception):  # of a type that does not let itself be changed
            error.__context__ = context


def _tells_of(error: BaseException, other: BaseException) -> bool:
    """Whether raising `error` shows `other` too: as itself, as a member, or as its cause."""
    todo, done = [error], set[int]()
    while todo:
        current = todo.pop()
        if current is other:
            return True
        if id(current) in done:
            continue
        done.add(id(current))
        if isinstance(current, BaseExceptionGroup):
            todo += cast("BaseExceptionGroup[BaseException]", current).exceptions
        # `raise X from None` sets no cause and hides the context: a translation all the same.
        cause = current.__context__ if current.__suppress_context__ else None
        if current.__cause__ is not None:
            cause = current.__cause__
        if cause is not None:
            todo.append(cause)
    return False
