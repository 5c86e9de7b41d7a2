"""Runs libcurl's "multi socket" interface on the event loop: its sockets and timers.

https://curl.se/libcurl/c/curl_multi_socket_action.html

libcurl requests which sockets to watch and when to be called, and is called with the sockets that
are ready. A reader of the event loop for each socket, added and removed for each request, and a
timer of the loop for each timer of libcurl took longer than the transfer of a small file. So the
sockets are in a separate epoll, which the event loop watches as one descriptor, and all timers
share one of the loop. Timers without a delay run at the end of this turn of the loop, so that one
call starts all requests of the turn.
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
        on_end: called with a handle whose transfer has ended, and libcurl's error code and message.
        on_turn: called after each group of calls to libcurl.
    """

    def __init__(
        self, on_end: Callable[[object, int, str], None], on_turn: Callable[[], None]
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
        self._due: float | None = None  # the time of libcurl's next timer
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._sockets.watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, _MOST_CONNECTIONS)

    def add(self, curl: pycurl.Curl) -> None:
        """Start a transfer."""
        self._multi.add_handle(curl)

    def remove(self, curl: pycurl.Curl) -> None:
        """Remove a handle; if its transfer has not ended, close its connection."""
        self._multi.remove_handle(curl)

    def close(self) -> None:
        """Close all connections; there must be no transfers."""
        self._multi.close()
        self._is_closed = True
        self._sockets.close()
        if self._timer is not None:
            self._timer.cancel()

    def _on_timer(self, milliseconds: int) -> None:
        """Set libcurl's timer; -1 for none."""
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
            self._set_timer(self._due)  # it was postponed
            return
        self._due = None
        self._act(((pycurl.SOCKET_TIMEOUT, 0),))

    def _act(self, events: Any) -> None:
        """Pass events to libcurl, and report the transfers that have ended."""
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
    """Watches sockets by an epoll, which the event loop watches. Linux only."""

    _EVENTS = (0, select.EPOLLIN, select.EPOLLOUT, select.EPOLLIN | select.EPOLLOUT)

    def __init__(self, loop: asyncio.AbstractEventLoop, act: Callable[[object], None]) -> None:
        self._loop = loop
        self._act = act
        self._epoll = select.epoll()
        self._watched: set[int] = set()
        loop.add_reader(self._epoll.fileno(), self._on_ready)

    def watch(self, what: int, number: int, multi: object, data: object) -> None:
        """Watch a socket for the events that libcurl requests."""
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
        """Stop watching."""
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
    """Watches sockets by the event loop, one by one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, act: Callable[[object], None]) -> None:
        self._loop = loop
        self._act = act
        self._watched: dict[int, int] = {}  # the events of each socket

    def watch(self, what: int, number: int, multi: object, data: object) -> None:
        """Watch a socket for the events that libcurl requests."""
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
        """Stop watching."""
        for number in list(self._watched):
            self.watch(pycurl.POLL_REMOVE, number, None, None)
