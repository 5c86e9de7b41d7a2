"""A failure is told in one line that says what happened, and what to do where something can be."""

from __future__ import annotations

import errno

import aiohttp
import pytest

from withal import CloseTimeoutError, WithalError
from withal.fetch import FetchError
from withal.fetch.failures import BadStatusError, WrongLengthError, cause, is_expected, reason


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BadStatusError(404, "Not Found", None), "the server answered 404 Not Found"),
        (BadStatusError(599, "", None), "the server answered 599"),
        (WrongLengthError(1, 2), "the body ended after 1 of 2 bytes"),
        (aiohttp.ClientPayloadError("a\nb"), "the body ended too early, or is malformed"),
        (
            FileExistsError(errno.EEXIST, "File exists", "/folder/file"),
            "/folder/file exists already; pass overwrite=True (--overwrite) to replace it",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/folder/file"),
            "cannot write /folder/file: No space left on device",
        ),
        (aiohttp.ConnectionTimeoutError(), "could not connect within the connect timeout"),
        (aiohttp.ServerDisconnectedError(), "the server closed the connection without an answer"),
        (aiohttp.ClientConnectionError("one\n  two"), "one two"),
        (aiohttp.ClientConnectionError(), "ClientConnectionError"),
    ],
)
def test_a_failure_is_told_in_one_line(error: Exception, told: str) -> None:
    assert is_expected(error)
    assert reason(error) == told


def test_of_several_the_first_is_told() -> None:
    first = BadStatusError(503, "", "1")
    group = ExceptionGroup("scope", [ExceptionGroup("inner", [first]), OSError()])
    assert is_expected(group)
    assert cause(group) is first


@pytest.mark.parametrize("hurried", [False, True])
def test_closing_that_a_second_signal_cut_short_is_no_failure_of_an_attempt(hurried: bool) -> None:
    error = CloseTimeoutError("file", 0.1, ("part_file",), hurried=hurried)
    assert is_expected(error) is not hurried
    assert is_expected(ExceptionGroup("scope", [OSError(), error])) is not hurried


@pytest.mark.parametrize("mistake", [TypeError(), ExceptionGroup("g", [OSError(), TypeError()])])
def test_a_mistake_in_the_program_is_no_failure_of_an_attempt(mistake: Exception) -> None:
    assert not is_expected(mistake)


@pytest.mark.parametrize(
    ("attempts", "told"),
    [(0, "url: why"), (1, "url: why"), (2, "url: why (tried 2 times)")],
)
def test_an_error_names_the_url_and_what_was_tried(attempts: int, told: str) -> None:
    error = FetchError("url", "why", attempts)
    assert isinstance(error, WithalError)
    assert str(error) == told
    assert (error.url, error.reason, error.attempts) == ("url", "why", attempts)
