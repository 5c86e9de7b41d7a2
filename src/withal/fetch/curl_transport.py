"""The transport by libcurl, which is faster. Needs the extra ``withal[curl]``.

libcurl's "multi socket" interface leaves the waiting to the event loop: it says which sockets to
watch and when to call again, and is told what has become ready. So there is neither a thread nor a
loop of its own. What it calls back comes in the midst of one of its calls; nothing of libcurl's may
be called there, so what comes is put aside, and what waits for it is woken.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Any, final

import pycurl
from multidict import CIMultiDict

from withal.fetch.failures import AttemptError, final_failure
from withal.fetch.idle_timeout import TIMED_OUT, IdleTimeout
from withal.fetch.options import FetchOptions
from withal.fetch.transport import TransportRequest, TransportResponse
from withal.http.public import NotPublicError, is_public
from withal.http.session import USER_AGENT

_READ_BUFFER_BYTES = 512 << 10
_MAX_BUFFERED_BYTES = 1 << 20  # bytes of one answer that nobody has read yet; then it is paused
_MOST_IDLE_HANDLES = 64

# libcurl-errors(3). What is not here stays: a wrong certificate, say.
_TRANSIENT = frozenset({7, 16, 18, 28, 35, 52, 55, 56, 92, 95})
_SENDS_NO_HTTP = frozenset({1, 8, 27, 43, 61, 100})


@final
class CurlTransport:
    """Requests by libcurl: an async context manager."""

    def __init__(self, options: FetchOptions) -> None:
        self._options = options
        self._watch = IdleTimeout(options.idle_timeout)
        self._multi = pycurl.CurlMulti()
        self._handles: list[_Handle] = []  # idle
        self._answers: dict[Any, CurlTransportResponse] = {}  # by their libcurl handles
        self._watched: dict[int, int] = {}  # sockets, and for what
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> CurlTransport:
        self._loop = asyncio.get_running_loop()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, 256)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._watch.stop()
        for answer in list(self._answers.values()):
            answer.abort()
        for handle in self._handles:
            handle.close()
        self._handles.clear()
        self._multi.close()
        for number in list(self._watched):
            self._on_socket(pycurl.POLL_REMOVE, number, self._multi, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def open(self, ask: TransportRequest) -> TransportResponse:
        """Make a request; see `Transport.open`."""
        handle = self._handles.pop() if self._handles else _Handle(self._options)
        answer = CurlTransportResponse(self, handle, ask)
        try:
            handle.prepare(answer, ask, is_strict=self._options.public_only)
        except (pycurl.error, UnicodeError, ValueError):
            handle.close()
            raise final_failure("not a valid URL, or not a valid header") from None
        self._answers[handle.curl] = answer
        self._multi.add_handle(handle.curl)
        try:
            await answer.wait_head()
        except BaseException:
            answer.abort()
            raise
        return answer

    def release(self, answer: CurlTransportResponse, handle: _Handle) -> None:
        """Take a handle back; if its answer has not ended, its connection is closed."""
        if self._answers.pop(handle.curl, None) is None:
            return
        self._multi.remove_handle(handle.curl)
        handle.answer = None
        handle.close_sockets()
        if len(self._handles) < _MOST_IDLE_HANDLES:
            self._handles.append(handle)
        else:
            handle.close()

    @property
    def watch(self) -> IdleTimeout:
        """What sees to it that nothing is waited for without end."""
        return self._watch

    # What libcurl wants

    def _on_socket(self, what: int, number: int, multi: object, data: object) -> None:
        loop = self._loop
        assert loop is not None
        before = self._watched.pop(number, 0)
        after = 0 if what == pycurl.POLL_REMOVE else what
        if after:
            self._watched[number] = after
        for flag, add, remove, event in (
            (pycurl.POLL_IN, loop.add_reader, loop.remove_reader, pycurl.CSELECT_IN),
            (pycurl.POLL_OUT, loop.add_writer, loop.remove_writer, pycurl.CSELECT_OUT),
        ):
            if after & flag and not before & flag:
                add(number, self._act, number, event)
            elif before & flag and not after & flag:
                remove(number)

    def _on_timer(self, milliseconds: int) -> None:
        loop = self._loop
        assert loop is not None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if milliseconds >= 0:
            self._timer = loop.call_later(milliseconds / 1000, self._act, pycurl.SOCKET_TIMEOUT, 0)

    def _act(self, number: int, event: int) -> None:
        """Have libcurl do what can be done now, and see what has ended."""
        self._multi.socket_action(number, event)
        while True:
            left, good, bad = self._multi.info_read()
            for curl in good:
                self._end(curl, 0, "")
            for curl, code, text in bad:
                self._end(curl, code, text)
            if not left:
                return

    def _end(self, curl: Any, code: int, text: str) -> None:
        answer = self._answers.get(curl)
        if answer is not None:
            answer.end(code, text or f"error {code} of libcurl")


@final
class _Handle:
    """A handle of libcurl's, which serves one request after the other."""

    def __init__(self, options: FetchOptions) -> None:
        self.answer: CurlTransportResponse | None = None
        self.sockets: list[socket.socket] = []
        self.curl: pycurl.Curl = pycurl.Curl()
        for option, value in (
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
            (pycurl.WRITEFUNCTION, self._on_body),
            (pycurl.HEADERFUNCTION, self._on_head),
            (pycurl.OPENSOCKETFUNCTION, self._on_connect),
        ):
            self.curl.setopt(option, value)

    def prepare(
        self, answer: CurlTransportResponse, ask: TransportRequest, *, is_strict: bool
    ) -> None:
        """Get ready for a request."""
        self.close_sockets()
        self.answer = answer
        headers = ["Accept-Encoding: identity", "Accept: */*"]
        headers += [f"{name}: {value}" for name, value in ask.headers.items()]
        self.curl.setopt(pycurl.URL, str(ask.url))
        self.curl.setopt(pycurl.HTTPHEADER, headers)
        self.curl.setopt(pycurl.PROXY, "" if ask.proxy is None else str(ask.proxy))
        # One that is open already is not asked where it leads.
        self.curl.setopt(pycurl.FRESH_CONNECT, int(ask.public_only and not is_strict))

    def close_sockets(self) -> None:
        """Close what libcurl has duplicates of."""
        while self.sockets:
            self.sockets.pop().close()

    def close(self) -> None:
        """Close it; it must not be in use."""
        self.close_sockets()
        self.curl.close()

    def _on_connect(self, purpose: int, address: tuple[Any, ...]) -> Any:
        family, kind, protocol, where = address
        answer = self.answer
        if answer is not None and answer.ask.public_only and not is_public(_text(where[0])):
            answer.is_refused = True
            return pycurl.SOCKET_BAD
        made = socket.socket(family, kind, protocol)
        self.sockets.append(made)  # libcurl has a duplicate
        return made

    def _on_head(self, line: bytes) -> None:
        if self.answer is not None:
            self.answer.take_head(line)

    def _on_body(self, data: bytes) -> int | None:
        return None if self.answer is None else self.answer.take_body(data)


def _text(address: str | bytes) -> str:
    return address.decode() if isinstance(address, bytes) else address


@final
class CurlTransportResponse:
    """An answer as libcurl receives it."""

    def __init__(self, transport: CurlTransport, handle: _Handle, ask: TransportRequest) -> None:
        self.ask = ask
        self.status: int = 0
        self.phrase: str = ""
        self.peer: str | None = None
        self.is_refused = False
        self._lines: list[bytes] = []  # of the head
        self._headers: CIMultiDict[str] | None = None
        self._transport = transport
        self._handle: _Handle | None = handle
        self._has_head = False
        self._is_tunnelled = ask.proxy is not None and ask.url.scheme == "https"
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._is_paused = False
        self._ended = False
        self._failure: AttemptError | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """By their names, whose case does not matter."""
        if self._headers is None:
            pairs = (line.decode("latin-1").partition(":") for line in self._lines[1:])
            self._headers = CIMultiDict((name.strip(), value.strip()) for name, _, value in pairs)
        return self._headers

    async def wait_head(self) -> None:
        """Wait until the head is there.

        Raises:
            AttemptError: there is none.
        """
        while not self._has_head:
            if self._failure is not None:
                raise self._failure
            await self._wait()
        if self.ask.proxy is None and self._handle is not None:
            self.peer = self._handle.curl.getinfo(pycurl.PRIMARY_IP) or None

    async def read_some(self) -> bytes:
        """Return more of the body; see `TransportResponse.read_some`."""
        while not self._chunks:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return b""
            if self._is_paused and self._handle is not None:
                self._is_paused = False
                self._handle.curl.pause(pycurl.PAUSE_CONT)  # which may bring some at once
            else:
                await self._wait()
        chunks, self._chunks, self._buffered = self._chunks, [], 0
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def abort(self) -> None:
        """Let go; see `TransportResponse.abort`."""
        handle, self._handle = self._handle, None
        self._transport.watch.end(self)
        if handle is not None:
            self._transport.release(self, handle)

    def time_out(self) -> None:
        """End the wait."""
        self._failure = AttemptError(TIMED_OUT, is_transient=True)
        self._wake()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.watch.begin(self)
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._transport.watch.end(self)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # Called by libcurl

    def take_head(self, line: bytes) -> None:
        """Take one line of a head."""
        if self._has_head:
            return  # a trailer
        if line not in (b"\r\n", b"\n"):
            self._lines.append(line)
            return
        _, _, rest = self._lines[0].decode("latin-1").rstrip().partition(" ")
        status, _, self.phrase = rest.partition(" ")
        self.status = int(status) if status.isdecimal() else 0
        tunnel, self._is_tunnelled = self._is_tunnelled, False
        if 100 <= self.status < 200 or (tunnel and 200 <= self.status < 300):
            self._lines.clear()  # an early one, or the proxy's
            return
        self._has_head = True
        self._wake()

    def take_body(self, data: bytes) -> int | None:
        """Take a piece of the body, or have libcurl keep it."""
        if self._buffered >= _MAX_BUFFERED_BYTES:
            self._is_paused = True
            return int(pycurl.WRITEFUNC_PAUSE)
        self._chunks.append(data)
        self._buffered += len(data)
        self._wake()
        return None

    def end(self, code: int, text: str) -> None:
        """Take note of how it has ended."""
        self._ended = True
        if code:
            self._failure = self._failed(code, text)
        elif not self._has_head:
            self._failure = AttemptError("the server's answer is not HTTP", is_transient=False)
        self._wake()

    def _failed(self, code: int, text: str) -> AttemptError:
        host = f"{self.ask.url.host}:{self.ask.url.port}"
        if self.is_refused:
            return final_failure(f"{self.ask.url.host}: {NotPublicError('').strerror}")
        if code in _SENDS_NO_HTTP or "header" in text.lower():
            return final_failure(f"the server's answer is not HTTP: {text}")
        if code == pycurl.E_OPERATION_TIMEDOUT:
            reason = "could not connect within the connect timeout"
        elif code in (pycurl.E_COULDNT_CONNECT, pycurl.E_COULDNT_RESOLVE_HOST):
            reason = f"cannot connect to {host}: {text}"
        elif code == pycurl.E_GOT_NOTHING:
            reason = "the server closed the connection without an answer"
        elif self._has_head:
            reason = "the body ended too early, or is malformed"
        else:
            reason = f"the connection to {host} broke: {text}"
        return AttemptError(reason, is_transient=code in _TRANSIENT)
