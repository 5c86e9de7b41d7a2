"""The outcome of an exception, and the combination of several errors into one exception."""

from __future__ import annotations

from asyncio import CancelledError
from contextlib import suppress
from typing import TypeVar

from withal._core.causes import context_of, is_a, set_context
from withal._core.events import Outcome

E = TypeVar("E", bound=BaseException)


def one_of(message: str, errors: list[E]) -> E | BaseExceptionGroup[E]:
    """Return the only error bare, or several as a group."""
    return errors[0] if len(errors) == 1 else BaseExceptionGroup(message, errors)


def outcome_of(error: BaseException | None) -> Outcome:
    """Return the outcome of something that ended with `error`, or without one."""
    if error is None:
        return Outcome.OK
    return Outcome.CANCELLED if is_a(error, CancelledError) else Outcome.ERROR


def raise_unchanged(error: BaseException) -> None:
    """Raise an error without changing its ``__context__`` to the exception being handled."""
    context = context_of(error)
    try:
        raise error
    finally:
        with suppress(ValueError):  # the contexts form a circle; only user code can cause that
            set_context(error, context)
