"""How the body's outcome, errors and cancellations become one exception."""

from __future__ import annotations

from asyncio import CancelledError
from typing import Any

import pytest

from tests.laws.probes import Hostile
from withal._core.scopes.close_result import CloseResult


def conclude(
    ending: CloseResult, *, requested: bool = False, own: bool = False
) -> tuple[BaseException | None, BaseException | None]:
    return ending.conclude("app", requested=requested, own=own)


def test_nothing_happened() -> None:
    ending = CloseResult(None)
    assert ending.is_ok
    assert conclude(ending) == (None, None)


def test_a_cancellation_of_its_own_making_is_not_raised() -> None:
    assert conclude(CloseResult(CancelledError()), own=True) == (None, None)


def test_a_cancellation_from_outside_is_raised_though_the_scope_asked_too() -> None:
    body = CancelledError()
    assert conclude(CloseResult(body), own=True, requested=True) == (body, None)


def test_an_error_wins_over_a_cancellation_which_is_delivered_later() -> None:
    body, error = CancelledError(), ValueError()
    ending = CloseResult(body)
    ending.fail(error)
    assert conclude(ending, requested=True) == (error, body)


def test_a_cancellation_without_a_request_is_not_delivered_later() -> None:
    ending = CloseResult(CancelledError())
    error = ValueError()
    ending.fail(error)
    assert conclude(ending) == (error, None)


def test_the_first_cancellation_during_closing_is_kept() -> None:
    ending = CloseResult(None)
    first = CancelledError("first")
    ending.cancelled(None)
    ending.cancelled(first)
    ending.cancelled(CancelledError("second"))
    assert conclude(ending, requested=True) == (first, None)


@pytest.mark.parametrize("how", ["same", "cause", "hidden"])
def test_an_error_with_the_bodys_as_its_cause_stands_for_both(how: str) -> None:
    body = ValueError("body")
    if how == "same":
        error: BaseException = body
    else:
        error = LookupError()
        error.__context__ = body
        error.__cause__ = body if how == "cause" else None
        error.__suppress_context__ = True
    ending = CloseResult(body)
    ending.fail(error)
    assert conclude(ending) == (error, None)
    assert ending.seen is error


def test_a_context_alone_does_not_tell_of_the_body() -> None:
    body, error = ValueError("body"), OSError("finalizer")
    error.__context__ = body
    ending = CloseResult(body)
    ending.fail(error)
    raised, _ = conclude(ending)
    assert isinstance(raised, ExceptionGroup)
    assert raised.exceptions == (body, error)


def test_causes_in_a_circle_do_not_hang() -> None:
    one, two = ValueError(), OSError()
    one.__cause__, two.__cause__ = two, one
    ending = CloseResult(KeyError())
    ending.fail(one)
    assert isinstance(conclude(ending)[0], ExceptionGroup)


def test_one_error_reported_twice_counts_once() -> None:
    ending = CloseResult(None)
    error = ValueError()
    ending.fail(error)
    ending.fail(error)
    assert conclude(ending) == (error, None)


def test_a_group_of_reported_errors_adds_nothing() -> None:
    body = ExceptionGroup("body", [ValueError(), OSError()])
    ending = CloseResult(body)
    ending.fail(ExceptionGroup("outer", [ExceptionGroup("inner", [body])]))
    ending.fail(ExceptionGroup("taken apart", body.exceptions[::-1]))
    assert ending.seen is body
    assert conclude(ending) == (body, None)


def test_the_rest_of_a_group_is_reported_and_keeps_its_structure() -> None:
    body, more = ValueError("body"), OSError("more")
    group = ExceptionGroup("group", [ExceptionGroup("inner", [more, body]), body])
    group.add_note("a note")
    ending = CloseResult(body)
    ending.fail(group)
    raised, _ = conclude(ending)
    assert isinstance(raised, ExceptionGroup)
    first, rest = raised.exceptions
    assert first is ending.seen is body
    assert isinstance(rest, ExceptionGroup)
    assert (rest.message, rest.__notes__) == ("group", ["a note"])
    (inner,) = rest.exceptions
    assert isinstance(inner, ExceptionGroup)
    assert inner.exceptions == (more,)


def test_a_member_that_two_groups_share_is_reported_once() -> None:
    shared, one, other = OSError("shared"), OSError("one"), OSError("other")
    ending = CloseResult(None)
    ending.fail(ExceptionGroup("first", [shared, one, shared]))
    ending.fail(ExceptionGroup("second", [other, shared]))
    assert leaves(conclude(ending)[0]) == [shared, one, other]


def test_what_wraps_an_exception_that_one_beside_it_has_suppressed_adds_nothing() -> None:
    body, more = ValueError("body"), OSError("more")
    ending = CloseResult(body)
    ending.suppress(body)
    ending.fail(ExceptionGroup("group", [body]), saw=body)
    assert ending.is_ok
    ending.fail(ExceptionGroup("group", [body, more]), saw=body)
    assert leaves(conclude(ending)[0]) == [more]


def test_suppressing_an_exception_does_not_suppress_a_translation_of_it() -> None:
    body, translated = ValueError("body"), OSError("translated")
    translated.__cause__ = body
    ending = CloseResult(body)
    ending.fail(translated, saw=body)
    ending.suppress(body)
    assert conclude(ending) == (translated, None)


def test_a_suppressed_exception_raised_by_a_finalizer_that_did_not_see_it_is_reported() -> None:
    body = ValueError("body")
    ending = CloseResult(body)
    ending.suppress(body)
    ending.fail(body)
    assert conclude(ending) == (body, None)


def test_a_group_that_replaces_the_bodys_exception_without_holding_it_stands_for_both() -> None:
    body = ValueError("body")
    group = ExceptionGroup("translated", [OSError()])
    group.__cause__ = body
    ending = CloseResult(body)
    ending.fail(group)
    assert conclude(ending) == (group, None)


class HostileGroup(ExceptionGroup[Exception]):
    """Cannot be divided."""

    def derive(self, excs: object, /) -> ExceptionGroup[Any]:
        raise RuntimeError("divided")


def test_errors_with_hostile_comparisons_are_distinguished() -> None:
    body, one = Hostile(), Hostile()
    ending = CloseResult(body)
    ending.fail(ExceptionGroup("group", [body]))
    ending.fail(one)
    ending.fail(one)
    raised, _ = conclude(ending)
    assert isinstance(raised, ExceptionGroup)
    assert [id(each) for each in raised.exceptions] == [id(body), id(one)]


def test_a_group_that_cannot_be_split_is_reported_whole() -> None:
    body = ValueError("body")
    group = HostileGroup("group", [body, OSError("more")])
    ending = CloseResult(body)
    ending.fail(group)
    raised, _ = conclude(ending)
    assert isinstance(raised, ExceptionGroup)
    assert raised.exceptions == (body, group)


def leaves(error: BaseException | None) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [] if error is None else [error]
