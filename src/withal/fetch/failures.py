"""How an attempt fails: what may be raised in one, and how it is told in a line."""

from __future__ import annotations

import os
from typing import TypeGuard, final

import aiohttp

from withal._core.credentials import text_without_credentials, url_without_credentials
from withal._core.errors import CloseTimeoutError, WithalError


@final
class BadStatusError(WithalError):
    """The server answered, but with no file.

    Attributes:
        status: such as 404.
        phrase: what the server calls it.
        retry_after: the ``Retry-After`` header, unparsed.
    """

    def __init__(self, status: int, phrase: str, retry_after: str | None) -> None:
        self.status = status
        self.phrase = phrase
        self.retry_after = retry_after
        super().__init__(status, phrase, retry_after)

    def __str__(self) -> str:
        return f"the server answered {self.status} {self.phrase}".rstrip()


@final
class WrongLengthError(WithalError):
    """The body ended, but not where the server had said.

    Attributes:
        received: bytes.
        announced: bytes, by the ``Content-Length``.
    """

    def __init__(self, received: int, announced: int) -> None:
        self.received = received
        self.announced = announced
        super().__init__(received, announced)

    def __str__(self) -> str:
        return f"the body ended after {self.received} of {self.announced} bytes"


@final
class BadAddressError(WithalError):
    """A host or a port on the way to the answer is not valid, and no request can be made to it.

    The error that it is raised for may quote a password, and is not kept.
    """

    def __str__(self) -> str:
        return (
            "cannot look up the host of a redirection or of the proxy that is set in the "
            "environment: it is not valid"
        )


# TimeoutError and ConnectionError are OSErrors, as is whatever the disk has to say.
_EXPECTED = (WithalError, aiohttp.ClientError, OSError)


def is_expected(error: Exception) -> bool:
    """Tell whether an attempt may fail so; anything else is a mistake in a program."""
    if _is_group(error):
        return error.split(_is_expected_alone)[1] is None
    return _is_expected_alone(error)


def _is_expected_alone(error: BaseException) -> bool:
    if isinstance(error, CloseTimeoutError) and error.hurried:
        return False  # of no URL: a second signal ends the program, which tells it
    return isinstance(error, _EXPECTED)


def cause(error: Exception) -> Exception:
    """Return the first error of a group: a scope's group begins with what made its body end."""
    return cause(error.exceptions[0]) if _is_group(error) else error


def reason(error: Exception) -> str:
    """Tell an expected error in one line, with what to do where there is something to do."""
    if isinstance(error, FileExistsError):
        return exists_already(error.filename)
    if isinstance(error, aiohttp.SocketTimeoutError):
        return "the server sent nothing for the idle timeout; give it longer, or try again later"
    if isinstance(error, TimeoutError):
        return "could not connect within the connect timeout"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the body ended too early, or is malformed"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection without an answer"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host}:{error.port}: {_os_reason(error.os_error)}"
    if isinstance(error, OSError) and not isinstance(error, aiohttp.ClientError):
        return f"cannot write {error.filename}: {error.strerror}"
    if isinstance(error, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
        where = url_without_credentials(str(error.args[0]))
        if isinstance(error, aiohttp.RedirectClientError):
            return f"redirected to {where}, which is not a valid http or https URL"
        return f"the proxy that is set in the environment is not a valid URL: {where}"
    return text_without_credentials(" ".join(str(error).split())) or type(error).__name__


def _os_reason(error: OSError) -> str:
    """Return what the system says, without the call and the address that asyncio puts there."""
    if error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)


def exists_already(path: str | os.PathLike[str]) -> str:
    """Tell that a target exists."""
    return f"{os.fspath(path)} exists already; pass overwrite=True (--overwrite) to replace it"


def _is_group(error: Exception) -> TypeGuard[ExceptionGroup[Exception]]:
    return isinstance(error, ExceptionGroup)
