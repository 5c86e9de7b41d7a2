"""The transport that uses libcurl, which is faster. Needs the extra ``withal[curl]``.

The callbacks of libcurl only append to lists: lines of a head, and chunks of a body, of 16 KiB
each. The lists are read after libcurl has returned, because its functions must not be called from a
callback (``CURLM_RECURSIVE_API_CALL`` in https://curl.se/libcurl/c/libcurl-errors.html), and
because a wake-up for each callback took longer than the transfer.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from functools import cache
from types import TracebackType
from typing import Any, final

import pycurl
from multidict import CIMultiDict

from withal.fetch.failures import AttemptError, final_failure
from withal.fetch.options import FetchOptions
from withal.fetch.transports.curl_loop import CurlLoop
from withal.fetch.transports.idle_timeout import TIMED_OUT, IdleTimeout
from withal.fetch.transports.transport import TransportRequest, TransportResponse
from withal.http.public import NotPublicError, is_public
from withal.http.user_agent import USER_AGENT

_READ_BUFFER_BYTES = 512 << 10
_MAX_CHUNK_COUNT = 128  # unread chunks of a response, of 16 KiB each; then it is paused
_PAUSE = int(pycurl.WRITEFUNC_PAUSE)
_ENDS = (b"\r\n", b"\n")  # of a head
_MOST_IDLE_HANDLES = 64

# https://curl.se/libcurl/c/libcurl-errors.html. Other errors, such as a wrong certificate, are not
# transient.
_TRANSIENT = frozenset({7, 16, 18, 28, 35, 52, 55, 56, 92, 95})
_SENDS_NO_HTTP = frozenset({1, 8, 27, 43, 61, 100})


@final
class CurlTransport:
    """Makes requests with libcurl: an async context manager."""

    def __init__(self, options: FetchOptions) -> None:
        self._options = options
        self._timeout = IdleTimeout(options.idle_timeout)
        self._handles: list[_Handle] = []  # idle
        self._responses: dict[object, CurlTransportResponse] = {}  # by their libcurl handles
        self._curl_loop: CurlLoop | None = None

    async def __aenter__(self) -> CurlTransport:
        self._curl_loop = CurlLoop(self._on_end, self._on_turn)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timeout.stop()
        for response in list(self._responses.values()):
            response.abort()
        for handle in self._handles:
            handle.close()
        self._handles.clear()
        if self._curl_loop is not None:
            self._curl_loop.close()

    async def open(self, request: TransportRequest) -> TransportResponse:
        """Make a request; see `Transport.open`."""
        assert self._curl_loop is not None
        handle = self._handles.pop() if self._handles else _Handle(self._options)
        response = CurlTransportResponse(self, handle, request)
        try:
            handle.prepare(response, request, is_strict=self._options.public_only)
        except (pycurl.error, UnicodeError, ValueError):
            handle.close()
            raise final_failure("not a valid URL, or not a valid header") from None
        self._responses[handle.curl] = response
        self._curl_loop.add(handle.curl)
        try:
            await response.wait_head()
        except BaseException:
            response.abort()
            raise
        return response

    def release(self, handle: _Handle) -> None:
        """Return a handle to the idle ones; if its response has not ended, close its connection."""
        if self._curl_loop is None or self._responses.pop(handle.curl, None) is None:
            return
        self._curl_loop.remove(handle.curl)
        handle.response = None
        handle.close_sockets()
        if len(self._handles) < _MOST_IDLE_HANDLES:
            self._handles.append(handle)
        else:
            handle.close()

    @property
    def timeout(self) -> IdleTimeout:
        """The limit on the time without data."""
        return self._timeout

    def _on_end(self, curl: object, code: int, text: str) -> None:
        response = self._responses.get(curl)
        if response is not None:
            response.end(code, text or f"error {code} of libcurl")

    def _on_turn(self) -> None:
        for response in self._responses.values():
            response.look()


@final
class _Handle:
    """A handle of libcurl, used for one request after the other."""

    def __init__(self, options: FetchOptions) -> None:
        self.response: CurlTransportResponse | None = None
        self.sockets: list[socket.socket] = []
        self._lasting: tuple[list[str], str, int] | None = None  # options of the last request
        self.curl: pycurl.Curl = pycurl.Curl()
        for option, value in (
            *_certificates(),
            (pycurl.NOSIGNAL, 1),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.HTTP09_ALLOWED, 0),
            (pycurl.PATH_AS_IS, 1),
            (pycurl.HTTP_CONTENT_DECODING, 0),
            (pycurl.BUFFERSIZE, _READ_BUFFER_BYTES),
            (pycurl.CONNECTTIMEOUT_MS, max(1, int(options.connect_timeout * 1000))),
            (pycurl.USERAGENT, USER_AGENT),
            (pycurl.OPENSOCKETFUNCTION, self._on_connect),
        ):
            self.curl.setopt(option, value)

    def prepare(
        self, response: CurlTransportResponse, request: TransportRequest, *, is_strict: bool
    ) -> None:
        """Set the options for a request."""
        self.close_sockets()
        self.response = response
        headers = ["Accept-Encoding: identity", "Accept: */*"]
        headers += [f"{name}: {value}" for name, value in request.headers.items()]
        proxy = "" if request.proxy is None else str(request.proxy)
        # The address of a connection that is already open is not checked.
        lasting = headers, proxy, int(request.public_only and not is_strict)
        setopt = self.curl.setopt
        if lasting != self._lasting:
            self._lasting = None
            setopt(pycurl.HTTPHEADER, headers)
            setopt(pycurl.PROXY, proxy)
            setopt(pycurl.FRESH_CONNECT, lasting[2])
            self._lasting = lasting
        setopt(pycurl.URL, str(request.url))
        setopt(pycurl.HEADERFUNCTION, response.lines.append)
        setopt(pycurl.WRITEFUNCTION, response.take)

    def close_sockets(self) -> None:
        """Close the sockets, of which libcurl has duplicates."""
        while self.sockets:
            self.sockets.pop().close()

    def close(self) -> None:
        """Close the handle; it must not be in use."""
        self.close_sockets()
        self.curl.close()

    def _on_connect(self, purpose: int, address: tuple[Any, ...]) -> object:
        family, kind, protocol, where = address
        response = self.response
        if response is not None and response.request.public_only and not is_public(_text(where[0])):
            response.is_refused = True
            return pycurl.SOCKET_BAD
        made = socket.socket(family, kind, protocol)
        self.sockets.append(made)  # libcurl has a duplicate
        return made


@cache
def _certificates() -> tuple[tuple[int, str], ...]:
    """Return the options for the trusted authorities, which are those of Python.

    The libcurl in pycurl's wheels uses the paths of the system that they were built on.
    """
    paths = ssl.get_default_verify_paths()
    found = ((pycurl.CAINFO, paths.cafile), (pycurl.CAPATH, paths.capath))
    return tuple((option, path) for option, path in found if path)


def _text(address: str | bytes) -> str:
    return address.decode() if isinstance(address, bytes) else address


@final
class CurlTransportResponse:
    """A response that libcurl receives.

    Attributes:
        request: its request.
        lines: lines of heads and trailers, appended by libcurl.
        chunks: chunks of the body that are not read yet.
        is_refused: whether the address was not public.
        status: see `TransportResponse`.
        phrase: see `TransportResponse`.
    """

    def __init__(
        self, transport: CurlTransport, handle: _Handle, request: TransportRequest
    ) -> None:
        self.request = request
        self.lines: list[bytes] = []
        self.chunks: list[bytes] = []
        self.is_refused = False
        self.status: int = 0
        self.phrase: str = ""
        self._headers: CIMultiDict[str] | None = None
        self._transport = transport
        self._handle: _Handle | None = handle
        self._has_head = False
        self._waits_for_head = True
        self._head = (0, 0)  # first and last line of the head
        self._is_tunnelled = request.proxy is not None and request.url.scheme == "https"
        self._is_paused = False
        self._ended = False
        self._failure: AttemptError | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names are case-insensitive."""
        if self._headers is None:
            first, last = self._head
            text = b"".join(self.lines[first + 1 : last]).decode("latin-1")
            pairs = [line.partition(":") for line in text.split("\n")[:-1]]
            self._headers = CIMultiDict([(name.strip(), value.strip()) for name, _, value in pairs])
        return self._headers

    @property
    def peer(self) -> str | None:
        """The address of the server; None with a proxy, and after `abort`."""
        if self.request.proxy is not None or self._handle is None:
            return None
        return self._handle.curl.getinfo(pycurl.PRIMARY_IP) or None

    async def wait_head(self) -> None:
        """Wait for the head.

        Raises:
            AttemptError: if there is no response.
        """
        while not self._has_head:
            if self._failure is not None:
                raise self._failure
            await self._wait()
        self._waits_for_head = False

    async def read_some(self) -> list[bytes]:
        """Return more of the body; see `TransportResponse.read_some`."""
        while not self.chunks:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return []
            if self._is_paused and self._handle is not None:
                self._is_paused = False
                self._handle.curl.pause(pycurl.PAUSE_CONT)  # which may call `take`
            else:
                await self._wait()
        chunks, self.chunks = self.chunks, []
        return chunks

    def abort(self) -> None:
        """Release the response; see `TransportResponse.abort`."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._transport.release(handle)

    def time_out(self) -> None:
        """End the wait with an error."""
        self._failure = AttemptError(TIMED_OUT, is_transient=True)
        self._wake()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.timeout.begin(self)
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._transport.timeout.end(self)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # Called by libcurl

    def take(self, data: bytes) -> int | None:
        """Append a chunk of the body, or pause the transfer; libcurl then keeps the chunk."""
        if len(self.chunks) >= _MAX_CHUNK_COUNT:
            self._is_paused = True
            return _PAUSE
        self.chunks.append(data)
        return None

    # Called after libcurl has returned

    def look(self) -> None:
        """Wake the waiter if it has something to read."""
        if not self._has_head and self.lines:
            self._look_for_head()
        if self._ended or self.chunks or (self._has_head and self._waits_for_head):
            self._wake()

    def _look_for_head(self) -> None:
        """Find the end of the head; skip interim responses and the response of a proxy."""
        first = self._head[0]
        for last in range(first, len(self.lines)):
            if self.lines[last] not in _ENDS:
                continue
            _, _, rest = self.lines[first].decode("latin-1").rstrip().partition(" ")
            status, _, self.phrase = rest.partition(" ")
            self.status = int(status) if status.isdecimal() else 0
            tunnel, self._is_tunnelled = self._is_tunnelled, False
            self._head = first, last
            if not (100 <= self.status < 200 or (tunnel and 200 <= self.status < 300)):
                self._has_head = True
                return
            first = last + 1
            self._head = first, first

    def end(self, code: int, text: str) -> None:
        """Record how the transfer ended."""
        self._ended = True
        if not self._has_head:
            self._look_for_head()
        if code:
            self._failure = self._failed(code, text)
        elif not self._has_head:
            self._failure = AttemptError("the server's answer is not HTTP", is_transient=False)

    def _failed(self, code: int, text: str) -> AttemptError:
        host = f"{self.request.url.host}:{self.request.url.port}"
        if self.is_refused:
            return final_failure(f"{self.request.url.host}: {NotPublicError('').strerror}")
        if code in _SENDS_NO_HTTP or "header" in text.lower():
            return final_failure(f"the server's answer is not HTTP: {text}")
        if code == pycurl.E_OPERATION_TIMEDOUT:
            reason = "could not connect within the connect timeout"
        elif code in (pycurl.E_COULDNT_CONNECT, pycurl.E_COULDNT_RESOLVE_HOST):
            reason = f"cannot connect to {host}: {self._system_error() or text}"
        elif code == pycurl.E_GOT_NOTHING:
            reason = "the server closed the connection without an answer"
        elif self._has_head:
            reason = "the body ended too early, or is malformed"
        else:
            reason = f"the connection to {host} broke: {text}"
        return AttemptError(reason, is_transient=code in _TRANSIENT)

    def _system_error(self) -> str:
        """Return the system's error message, without the times and ports that libcurl adds."""
        number = 0 if self._handle is None else self._handle.curl.getinfo(pycurl.OS_ERRNO)
        return os.strerror(number) if number else ""
