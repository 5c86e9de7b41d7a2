"""libcurl's "multi socket" interface on the event loop: who waits for its sockets and timers.

libcurl says which sockets to watch and when to call again, and is told what has become ready. A
reader of the event loop for each socket, made and removed for each request, and a timer for each of
libcurl's took longer than the transfer of a small file. So the sockets are in an epoll of their
own, which is itself one descriptor that the event loop watches, and all timers share one of the
loop's. What libcurl wants done at once waits for the end of this turn of the loop, so that requests
that begin together are begun by one call.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Any, final

import pycurl

_MOST_CONNECTIONS = 256


@final
class CurlLoop:
    """A ``CURLM`` that runs on the event loop.

    Args:
        on_end: called with a handle whose transfer has ended, libcurl's code and its message.
        on_turn: called when libcurl has done what could be done for now.
    """

    def __init__(
        self, on_end: Callable[[Any, int, str], None], on_turn: Callable[[], None]
    ) -> None:
        self._on_end = on_end
        self._on_turn = on_turn
        self._loop = asyncio.get_running_loop()
        self._sockets: _EpollSockets | _LoopSockets = (
            _EpollSockets(self._loop, self._act)
            if hasattr(select, "epoll")
            else _LoopSockets(self._loop, self._act)
        )
        self._is_due_now = False
        self._due: float | None = None  # when libcurl wants to be called
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._sockets.watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, _MOST_CONNECTIONS)

    def add(self, curl: Any) -> None:
        """Begin a transfer."""
        self._multi.add_handle(curl)

    def remove(self, curl: Any) -> None:
        """Take a handle out; if its transfer has not ended, its connection is closed."""
        self._multi.remove_handle(curl)

    def close(self) -> None:
        """Close all connections; there must be no transfers."""
        self._multi.close()
        self._is_closed = True
        self._sockets.close()
        if self._timer is not None:
            self._timer.cancel()

    def _on_timer(self, milliseconds: int) -> None:
        """Take note of when libcurl wants to be called; -1 for not at all."""
        if not milliseconds:
            self._due = None
            if not self._is_due_now:
                self._is_due_now = True
                self._loop.call_soon(self._act, ((pycurl.SOCKET_TIMEOUT, 0),))
        elif milliseconds < 0:
            self._due = None
        else:
            self._due = self._loop.time() + milliseconds / 1000
            if self._timer is None or self._timer.when() > self._due:
                self._set_timer(self._due)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._on_due)

    def _on_due(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._due > self._loop.time():
            self._set_timer(self._due)  # it was put off meanwhile
            return
        self._due = None
        self._act(((pycurl.SOCKET_TIMEOUT, 0),))

    def _act(self, events: Any) -> None:
        """Have libcurl do what can be done now, and see what has ended."""
        self._is_due_now = False
        if self._is_closed:
            return
        for number, event in events:
            self._multi.socket_action(number, event)
        while True:
            left, good, bad = self._multi.info_read()
            for curl in good:
                self._on_end(curl, 0, "")
            for curl, code, text in bad:
                self._on_end(curl, code, text)
            if not left:
                break
        self._on_turn()


@final
class _EpollSockets:
    """Sockets in an epoll, which the event loop watches. Linux only."""

    _EVENTS = (0, select.EPOLLIN, select.EPOLLOUT, select.EPOLLIN | select.EPOLLOUT)

    def __init__(self, loop: asyncio.AbstractEventLoop, act: Callable[[Any], None]) -> None:
        self._loop = loop
        self._act = act
        self._epoll = select.epoll()
        self._watched: set[int] = set()
        loop.add_reader(self._epoll.fileno(), self._on_ready)

    def watch(self, what: int, number: int, multi: object, data: object) -> None:
        """Watch a socket for what libcurl wants."""
        if what == pycurl.POLL_REMOVE:
            if number in self._watched:
                self._watched.remove(number)
                self._epoll.unregister(number)
        elif number in self._watched:
            self._epoll.modify(number, self._EVENTS[what])
        else:
            self._watched.add(number)
            self._epoll.register(number, self._EVENTS[what])

    def close(self) -> None:
        """Watch nothing more."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _on_ready(self) -> None:
        self._act(
            [
                (
                    number,
                    (pycurl.CSELECT_IN if event & ~select.EPOLLOUT else 0)
                    | (pycurl.CSELECT_OUT if event & ~select.EPOLLIN else 0),
                )
                for number, event in self._epoll.poll(0)
            ]
        )


@final
class _LoopSockets:
    """Sockets that the event loop watches one by one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, act: Callable[[Any], None]) -> None:
        self._loop = loop
        self._act = act
        self._watched: dict[int, int] = {}  # for what

    def watch(self, what: int, number: int, multi: object, data: object) -> None:
        """Watch a socket for what libcurl wants."""
        loop = self._loop
        before = self._watched.pop(number, 0)
        after = 0 if what == pycurl.POLL_REMOVE else what
        if after:
            self._watched[number] = after
        for flag, add, remove, event in (
            (pycurl.POLL_IN, loop.add_reader, loop.remove_reader, pycurl.CSELECT_IN),
            (pycurl.POLL_OUT, loop.add_writer, loop.remove_writer, pycurl.CSELECT_OUT),
        ):
            if after & flag and not before & flag:
                add(number, self._act, ((number, event),))
            elif before & flag and not after & flag:
                remove(number)

    def close(self) -> None:
        """Watch nothing more."""
        for number in list(self._watched):
            self.watch(pycurl.POLL_REMOVE, number, None, None)
