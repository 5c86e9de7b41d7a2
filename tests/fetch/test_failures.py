"""A failure is told in one line that says what happened, and what to do where something can be."""

from __future__ import annotations

import errno

import pytest

from withal import WithalError
from withal.fetch import FetchError
from withal.fetch.failures import AttemptError, BadStatusError, of_the_disk, wrong_length


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BadStatusError(404, "Not Found", None), "the server answered 404 Not Found"),
        (BadStatusError(404, "", None), "the server answered 404 Not Found"),
        (BadStatusError(599, "", None), "the server answered 599"),
        (wrong_length(1, 2), "the body ended after 1 of 2 bytes"),
        (
            of_the_disk(FileExistsError(errno.EEXIST, "File exists", "/folder/file")),
            "/folder/file already exists; pass on_exists='replace' (--on-exists replace) to "
            "replace it",
        ),
        (
            of_the_disk(OSError(errno.ENOSPC, "No space left on device", "/folder/file")),
            "cannot write /folder/file: No space left on device",
        ),
        (AttemptError("one\n  two http://a:b@c/", is_transient=True), "one two http://c/"),
    ],
)
def test_a_failure_is_described_in_one_line(error: AttemptError, told: str) -> None:
    assert str(error) == error.reason == told


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_status_that_may_pass_is_transient(status: int) -> None:
    assert BadStatusError(status, "", None).is_transient


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 403, 404, 410, 416, 501, 505])
def test_a_status_that_stays_is_not(status: int) -> None:
    assert not BadStatusError(status, "", None).is_transient


@pytest.mark.parametrize(("number", "passes"), [(errno.EMFILE, True), (errno.ENOSPC, False)])
def test_only_a_shortage_of_descriptors_passes(number: int, passes: bool) -> None:
    assert of_the_disk(OSError(number, "", "/x")).is_transient is passes


@pytest.mark.parametrize(
    ("attempts", "told"),
    [(0, "url: why"), (1, "url: why"), (2, "url: why (tried 2 times)")],
)
def test_an_error_names_the_url_and_what_was_tried(attempts: int, told: str) -> None:
    error = FetchError("url", "why", attempts)
    assert isinstance(error, WithalError)
    assert str(error) == told
    assert (error.url, error.reason, error.attempts) == ("url", "why", attempts)
