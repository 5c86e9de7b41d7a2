"""The errors of attempts, and their messages."""

from __future__ import annotations

import errno
import os
from http import HTTPStatus
from typing import final

from withal._core.credentials import text_without_credentials
from withal._core.errors import WithalError
from withal.http.retry import TRANSIENT_STATUSES


class AttemptError(WithalError):
    """An attempt to fetch a file has failed.

    Attributes:
        reason: what happened, in one line, and what to do about it, if known.
        is_transient: whether the same request may succeed later.
        from_zero: whether the received bytes must be discarded.
    """

    def __init__(self, reason: str, *, is_transient: bool, from_zero: bool = False) -> None:
        self.reason: str = text_without_credentials(" ".join(reason.split()))
        self.is_transient = is_transient
        self.from_zero = from_zero
        super().__init__(self.reason)

    def __str__(self) -> str:
        return self.reason


@final
class BadStatusError(AttemptError):
    """The server sent a response without a file.

    Attributes:
        status: the status code, such as 404.
        retry_after: the ``Retry-After`` header, unparsed.
    """

    def __init__(self, status: int, phrase: str, retry_after: str | None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(
            f"the server answered {status} {phrase or _phrase(status)}",
            is_transient=status in TRANSIENT_STATUSES,
        )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def wrong_length(received: int, announced: int) -> AttemptError:
    """Return the error for a body whose length is not the announced one."""
    return AttemptError(f"the body ended after {received} of {announced} bytes", is_transient=True)


def final_failure(reason: str) -> AttemptError:
    """Return an error that another attempt would not change."""
    return AttemptError(reason, is_transient=False)


# Too many descriptors are open, which may change.
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE})


def of_the_disk(error: OSError) -> AttemptError:
    """Return the error of an attempt for an error of the file system."""
    if isinstance(error, FileExistsError):
        return final_failure(exists_already(error.filename))
    is_shortage = error.errno in _SHORTAGES
    return AttemptError(
        f"cannot write {error.filename}: {error.strerror or error}", is_transient=is_shortage
    )


def exists_already(path: str | os.PathLike[str]) -> str:
    """Return the reason for a file that exists."""
    return (
        f"{os.fspath(path)} already exists; pass on_exists='replace' (--on-exists replace) to "
        "replace it"
    )
