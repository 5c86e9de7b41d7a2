"""The transport that uses aiohttp, the default HTTP client."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TypeVar, final

import aiohttp
from aiohttp.connector import Connection

from withal._core.credentials import text_without_credentials, url_without_credentials
from withal._core.errors import WithalError
from withal.fetch.failures import AttemptError, final_failure
from withal.fetch.options import FetchOptions
from withal.fetch.transfers.resource_events import ResourceEvents
from withal.fetch.transports.idle_timeout import TIMED_OUT, IdleTimeout
from withal.fetch.transports.transport import TransportRequest, TransportResponse
from withal.http.client_session import plain_session
from withal.http.public import NotPublicError

T = TypeVar("T")

_READ_BUFFER_BYTES = 256 << 10


@final
class AiohttpTransport:
    """Makes requests with `aiohttp.ClientSession`: an async context manager.

    Requests to public addresses only have a pool of connections of their own, because the address
    of an open connection is not checked again.
    """

    def __init__(self, options: FetchOptions) -> None:
        self._options = options
        # This is not a scope: its owner would be the host of this transport. A cancelled host runs
        # until it is its turn to close, and the session would wait for it.
        self._stack = AsyncExitStack()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._watch = IdleTimeout(options.idle_timeout)

        @final
        class Response(TimedResponse):
            watch = self._watch

        self._response_class = Response

    async def __aenter__(self) -> AiohttpTransport:
        await self._session(self._options.public_only)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._watch.stop()
        await self._stack.aclose()

    async def open(self, request: TransportRequest) -> TransportResponse:
        """Make a request; see `Transport.open`."""
        session = self._sessions.get(request.public_only)
        if session is None:
            session = await self._session(request.public_only)
        try:
            response = await session.get(
                request.url,
                headers=request.headers or None,
                proxy=request.proxy,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _translated(error) from None
        assert isinstance(response, TimedResponse)
        return AiohttpTransportResponse(response, request.proxy is None)

    async def _session(self, public_only: bool) -> aiohttp.ClientSession:
        entry = ResourceEvents.begin("session", "session")
        if entry is not None:
            self._stack.callback(entry.close)
        session = await self._stack.enter_async_context(
            plain_session(
                connect_timeout=self._options.connect_timeout,
                public_only=public_only,
                read_buffer=_READ_BUFFER_BYTES,
                response_class=self._response_class,
            )
        )
        return self._sessions.setdefault(public_only, session)


class TimedResponse(aiohttp.ClientResponse):
    """A response with an idle timeout, and the address of its server.

    Attributes:
        watch: the idle timeout of its transport.
        peer: the address of the server.
        timed_out: whether the timeout has aborted it.
    """

    watch: IdleTimeout
    peer: str | None = None
    timed_out: bool = False
    _has_head = False
    _watched: Connection | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Wait for the head of the response."""
        if connection.transport is not None:
            name: tuple[str, int] | str | None = connection.transport.get_extra_info("peername")
            if isinstance(name, tuple):  # no local socket
                self.peer = name[0]
        self._watched = connection
        response = await self._watch_while(super().start(connection))
        self._has_head = True
        return response

    async def read_some(self) -> bytes:
        """Wait for more of the body."""
        return await self._watch_while(self.content.readany())

    async def _watch_while(self, waiting: Awaitable[T]) -> T:
        self.watch.begin(self)
        try:
            result = await waiting
        except (aiohttp.ClientError, OSError):
            if self.timed_out:
                raise aiohttp.SocketTimeoutError from None
            raise
        finally:
            self.watch.end(self)
        if self.timed_out:  # a body without a length ends with its connection
            raise aiohttp.SocketTimeoutError
        return result

    def time_out(self) -> None:
        """Abort the connection, and end the wait.

        A lost connection does not end the wait in every case: aiohttp 3.14.5 waits forever for the
        body after a malformed chunk.
        """
        self.timed_out = True
        connection = self._watched
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        if self._has_head:
            self.content.set_exception(aiohttp.SocketTimeoutError())
        elif connection is not None and connection.protocol is not None:
            connection.protocol.set_exception(aiohttp.SocketTimeoutError())


@final
class AiohttpTransportResponse:
    """An `aiohttp.ClientResponse`."""

    __slots__ = ("_response", "headers", "peer", "phrase", "status")

    def __init__(self, response: TimedResponse, is_direct: bool) -> None:
        self._response = response
        self.status: int = response.status
        self.phrase: str = response.reason or ""
        self.headers: Mapping[str, str] = response.headers
        self.peer: str | None = response.peer if is_direct else None

    async def read_some(self) -> list[bytes]:
        """Return more of the body; see `TransportResponse.read_some`."""
        try:
            chunk = await self._response.read_some()
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error) from None
        return [chunk] if chunk else []

    def abort(self) -> None:
        """Release the response; close its connection if the body has not been read."""
        self._response.release()


# Connection errors that the next connection would have, too.
_LASTING = (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch)


def _translated(error: Exception) -> AttemptError:
    """Return an error of aiohttp as an error of the attempt."""
    is_transient = isinstance(
        error,
        (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError, TimeoutError),
    ) and not isinstance(error, _LASTING)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        # Not transient: a name that does not exist now will not exist in a second.
        is_transient = error.os_error.errno == socket.EAI_AGAIN
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(
        error.os_error, NotPublicError
    ):
        return final_failure(f"{error.host}: {error.os_error.strerror}")
    return AttemptError(_reason(error), is_transient=is_transient)


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.SocketTimeoutError):
        return TIMED_OUT
    if isinstance(error, TimeoutError):
        return "could not connect within the connect timeout"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the body ended too early, or is malformed"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection without an answer"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host}:{error.port}: {_os_reason(error.os_error)}"
    if isinstance(error, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
        return f"not a valid URL: {url_without_credentials(str(error.args[0]))}"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"the server's answer is not HTTP: {error.message}"
    if isinstance(error, ValueError) and not isinstance(error, aiohttp.ClientError):
        # The message may contain a password.
        return "cannot look up the host, or that of the proxy: it is not valid"
    return text_without_credentials(str(error)) or type(error).__name__


def _os_reason(error: OSError) -> str:
    """Return the system's error message, without the additions of asyncio."""
    if isinstance(error, WithalError):
        return str(error)
    if error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)
