"""Sockets, and asyncio's transports, stream writers, servers and event loops."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any, cast

from withal._core.aliases import AnyFunction
from withal.ledger.records import Ending
from withal.tracking.book import Book
from withal.tracking.held import Held, Kind
from withal.tracking.patches import hide_frame
from withal.tracking.reach import found_below
from withal.tracking.tracker import Tracker


def _is_shut(transport: Any) -> bool:
    return bool(transport.is_closing())


SOCKET = Kind("socket", "network", 1, lambda each: bool(each.fileno() < 0), is_system=True)
TRANSPORT = Kind("transport", "network", 2, _is_shut, is_system=True)
STREAM = Kind("stream writer", "network", 3, lambda each: _is_shut(each.transport))
SERVER = Kind("server", "network", 4, lambda each: not each.is_serving() and not each.sockets)
UVLOOP_TRANSPORT = Kind("transport", "network", 2, _is_shut, is_system=True, dies_closed=True)
# A loop of uvloop keeps a reference to a server until the server is closed:
# https://github.com/MagicStack/uvloop/blob/master/uvloop/server.pyx
UVLOOP_SERVER = Kind("server", "network", 4, lambda each: not each.is_serving(), dies_closed=True)
UVLOOP_PROCESS = Kind(
    "process", "process", 5, lambda each: each.get_returncode() is not None, dies_closed=True
)
# A loop that is running when the program exits, as with os._exit, is not a leak.
LOOP = Kind("event loop", "network", 9, lambda loop: loop.is_closed() or loop.is_running())


def follow_sockets(tracker: Tracker) -> None:
    """Follow sockets."""
    tracker.follow(socket.socket, SOCKET, closes=["close", "detach"])


def follow_loops(tracker: Tracker) -> None:
    """Follow event loops, and the servers that they create."""
    from asyncio import base_events

    book = tracker.book

    def made(loop: object, *_: object, **__: object) -> None:
        if book.find(loop) is None:
            book.opened(loop, LOOP)

    tracker.patches.after(base_events.BaseEventLoop, "__init__", made)
    tracker.closing(base_events.BaseEventLoop, "close")

    def listening(
        server: object, loop: object, sockets: object = (), *_: object, **__: object
    ) -> None:
        held = book.opened(server, SERVER)
        for each in cast("Iterable[Any]", sockets or ()):
            found = book.find(each)
            if held is not None and found is not None:
                book.take_over(held, found)

    tracker.patches.after(base_events.Server, "__init__", listening)
    tracker.closing(base_events.Server, "close")


def follow_selector_transports(tracker: Tracker) -> None:
    """Follow transports of asyncio's own loop."""
    from asyncio import selector_events

    book = tracker.book

    def made(transport: object, loop: object, sock: object, *_: object, **__: object) -> None:
        held = book.opened(transport, TRANSPORT, holds=sock)
        server = getattr(transport, "_server", None)
        if held is not None and server is not None:
            held.own = False  # a client's connection to a server of the program

    def awakened(loop: Any) -> None:
        for each in loop._ssock, loop._csock:  # an unclosed loop is reported as a loop only
            held = book.find(each)
            if held is not None:
                book.forget(held)

    tracker.patches.after(selector_events.BaseSelectorEventLoop, "_make_self_pipe", awakened)
    cls: Any = vars(selector_events)["_SelectorTransport"]
    tracker.patches.after(cls, "__init__", made)
    for name in "close", "abort", "_force_close", "_call_connection_lost":
        tracker.closing(cls, name)
    tracker.patches.before(cls, "__del__", tracker.dying)


def follow_pipes(tracker: Tracker) -> None:
    """Follow the transports of pipes."""
    from asyncio import unix_events

    book = tracker.book

    def made(transport: Any, loop: object, pipe: object, *_: object, **__: object) -> None:
        book.opened(transport, TRANSPORT, holds=pipe)

    for name in "_UnixReadPipeTransport", "_UnixWritePipeTransport":
        cls = getattr(unix_events, name)
        tracker.patches.after(cls, "__init__", made)
        for method in "close", "_close", "_call_connection_lost":
            tracker.closing(cls, method)


def follow_streams(tracker: Tracker) -> None:
    """Follow stream writers."""
    book = tracker.book

    def made(writer: Any, *_: object, **__: object) -> None:
        held = book.opened(writer, STREAM)
        transport = book.find(writer.transport)
        if held is not None and transport is not None:
            if not transport.own and not held.own:
                return
            # It closes with its transport; if neither is closed, only the writer is reported.
            book.close_with(held, transport)

    tracker.patches.after(asyncio.StreamWriter, "__init__", made)
    tracker.closing(asyncio.StreamWriter, "close")
    if hasattr(asyncio.StreamWriter, "__del__"):
        tracker.patches.before(asyncio.StreamWriter, "__del__", tracker.dying)


_CREATING = (
    "create_connection",
    "create_unix_connection",
    "create_datagram_endpoint",
    "connect_accepted_socket",
    "connect_read_pipe",
    "connect_write_pipe",
    "subprocess_exec",
    "subprocess_shell",
    "create_server",
    "create_unix_server",
)
"""The methods of a loop of uvloop whose results are followed."""


def follow_uvloop(tracker: Tracker) -> None:
    """Follow the resources of uvloop's loops. The loops are compiled: only results are visible."""
    import uvloop

    book = tracker.book
    patches = tracker.patches

    def made(loop: object, *_: object, **__: object) -> None:
        if book.find(loop) is None:
            held = book.opened(loop, LOOP)
            if held is not None:
                held.own = bool(held.stack)

    patches.after(uvloop.Loop, "__init__", made)
    patches.before(uvloop.Loop, "close", partial(_end_all_of, book))
    tracker.closing(uvloop.Loop, "close")
    for name in "run_forever", "run_until_complete":
        patches.replace(uvloop.Loop, name, _barred)
    book.program.add_barrier(_barred(uvloop.Loop.run_forever).__code__)
    for name in _CREATING:
        patches.replace(uvloop.Loop, name, _noting(partial(_created, book)))


def _created(book: Book, loop: object, result: Any) -> None:
    """Record what a loop of uvloop has created: a server, or a transport with its protocol."""
    if not isinstance(result, tuple):
        _of_loop(book.opened(result, UVLOOP_SERVER), loop)
        return
    transport, protocol = cast("tuple[Any, Any]", result)
    is_process = hasattr(transport, "get_returncode")
    if is_process and transport.get_returncode() is not None:
        return  # it has ended already, and does not support weak references
    name = "process_exited" if is_process else "connection_lost"
    is_notified = _on_call(protocol, name, partial(book.closed_key, id(transport)))
    kind = TRANSPORT if is_notified else UVLOOP_TRANSPORT
    _of_loop(book.opened(transport, UVLOOP_PROCESS if is_process else kind), loop)


def _end_all_of(book: Book, loop: object) -> None:
    """Record that what is left in a loop that closes will never be closed.

    This has to be done before the loop is closed and drops its references.
    """
    book.sweep("network")
    book.sweep("process")
    left = [held for held in book.open_now() if held.loop == id(loop)]
    for root, below in found_below(book.open_now(), left):
        book.take_over(root, below)
    for held in left:
        book.end(held, Ending.NEVER)


def _of_loop(held: Held | None, loop: object) -> None:
    if held is not None:
        held.loop = id(loop)


def _on_call(protocol: Any, name: str, then: Callable[[], None]) -> bool:
    """Call `then` before a method of this protocol; return whether it could be patched."""
    original = getattr(protocol, name)

    def replacement(*args: object) -> Any:
        then()
        return original(*args)

    try:
        setattr(protocol, name, replacement)
    except (AttributeError, TypeError):
        return False
    return True


def _barred(original: AnyFunction) -> AnyFunction:
    """Return a Python method around a compiled one, whose frame marks that the loop runs."""

    def run(self: object, *args: object, **kwargs: object) -> object:
        try:
            return original(self, *args, **kwargs)
        except BaseException as exc:
            hide_frame(exc)
            raise

    return run


def _noting(note: Callable[[object, Any], None]) -> Callable[[AnyFunction], object]:
    def make(original: AnyFunction) -> object:
        @wraps(original)
        async def replacement(self: object, *args: object, **kwargs: object) -> object:
            try:
                result = await original(self, *args, **kwargs)
            except BaseException as exc:
                hide_frame(exc)
                raise
            note(self, result)
            return result

        return replacement

    return make


if sys.platform == "win32":  # pragma: no cover
    raise ImportError("tracking needs a Unix system")
