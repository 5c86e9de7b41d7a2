"""How the body's outcome, errors and cancellations become one exception."""

from __future__ import annotations

from asyncio import CancelledError

import pytest

from withal._core.ending import Ending


def conclude(
    ending: Ending, *, requested: bool = False, own: bool = False
) -> tuple[BaseException | None, BaseException | None]:
    return ending.conclude("app", requested=requested, own=own)


def test_nothing_happened() -> None:
    ending = Ending(None)
    assert ending.is_ok
    assert conclude(ending) == (None, None)


def test_a_cancellation_of_its_own_making_is_not_raised() -> None:
    assert conclude(Ending(CancelledError()), own=True) == (None, None)


def test_a_cancellation_from_outside_is_raised_though_the_scope_asked_too() -> None:
    body = CancelledError()
    assert conclude(Ending(body), own=True, requested=True) == (body, None)


def test_an_error_wins_over_a_cancellation_which_is_delivered_later() -> None:
    body, error = CancelledError(), ValueError()
    ending = Ending(body)
    ending.fail(error)
    assert conclude(ending, requested=True) == (error, body)


def test_a_cancellation_that_nobody_requested_is_not_delivered_later() -> None:
    ending = Ending(CancelledError())
    error = ValueError()
    ending.fail(error)
    assert conclude(ending) == (error, None)


def test_the_first_cancellation_during_closing_is_kept() -> None:
    ending = Ending(None)
    first = CancelledError("first")
    ending.cancelled(None)
    ending.cancelled(first)
    ending.cancelled(CancelledError("second"))
    assert conclude(ending, requested=True) == (first, None)


@pytest.mark.parametrize("how", ["same", "member", "cause", "hidden"])
def test_an_error_that_tells_of_the_bodys_stands_for_both(how: str) -> None:
    body = ValueError("body")
    if how == "same":
        error: BaseException = body
    elif how == "member":
        error = ExceptionGroup("group", [ExceptionGroup("inner", [OSError(), body])])
    else:
        error = LookupError()
        error.__context__ = body
        error.__cause__ = body if how == "cause" else None
        error.__suppress_context__ = True
    ending = Ending(body)
    ending.fail(error)
    assert conclude(ending) == (error, None)
    assert ending.seen is error


def test_a_context_alone_does_not_tell_of_the_body() -> None:
    body, error = ValueError("body"), OSError("finalizer")
    error.__context__ = body
    ending = Ending(body)
    ending.fail(error)
    raised, _ = conclude(ending)
    assert isinstance(raised, ExceptionGroup)
    assert raised.exceptions == (body, error)


def test_causes_in_a_circle_do_not_hang() -> None:
    one, two = ValueError(), OSError()
    one.__cause__, two.__cause__ = two, one
    ending = Ending(KeyError())
    ending.fail(one)
    assert isinstance(conclude(ending)[0], ExceptionGroup)


def test_one_error_reported_twice_counts_once() -> None:
    ending = Ending(None)
    error = ValueError()
    ending.fail(error)
    ending.fail(error)
    assert conclude(ending) == (error, None)
