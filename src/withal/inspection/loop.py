"""The transports, servers and timers of an event loop of asyncio.

They are read from the loop's selector and its heap of timers. These attributes are private
(https://github.com/python/cpython/blob/main/Lib/asyncio/base_events.py); a test fails if one of
them changes. uvloop keeps them in C, where they cannot be read.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, BaseTransport, TimerHandle
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from selectors import BaseSelector, SelectorKey
from typing import Any, final

from withal._core.descriptors import is_left_out
from withal.inspection.descriptors import Socket, socket_of
from withal.inspection.tasks import creation_of


@final
@dataclass(frozen=True, slots=True)
class Transport:
    """A transport that its loop listens to.

    Attributes:
        kind: the name of its class.
        descriptor: the descriptor that it reads or writes.
        socket: the addresses, if that is a socket.
        is_closing: whether it was closed, and has not ended yet.
        created_at: where it was created, if asyncio's debug mode or tracemalloc is on.
    """

    kind: str
    descriptor: int
    socket: Socket | None = field(default=None, compare=False)
    is_closing: bool = field(default=False, compare=False)
    created_at: str = field(default="", compare=False)
    _identity: int = 0

    def __str__(self) -> str:
        ends = "" if self.socket is None else f" {self.socket}"
        closing = ", closing" if self.is_closing else ""
        origin = f", created at {self.created_at}" if self.created_at else ""
        return f"{self.kind} on descriptor {self.descriptor}{ends}{closing}{origin}"


@final
@dataclass(frozen=True, slots=True)
class Server:
    """A server that accepts connections.

    Attributes:
        addresses: where it listens.
        created_at: where it was created, if asyncio's debug mode or tracemalloc is on.
    """

    addresses: tuple[str, ...]
    created_at: str = field(default="", compare=False)
    _identity: int = 0

    def __str__(self) -> str:
        origin = f", created at {self.created_at}" if self.created_at else ""
        return f"listening at {', '.join(self.addresses)}{origin}"


@final
@dataclass(frozen=True, slots=True)
class Timer:
    """A call that the loop will make later.

    Attributes:
        when: the time of the call, in seconds of the loop's clock.
        callback: the qualified name of the callback.
        seconds_left: the seconds until then.
    """

    when: float
    callback: str
    seconds_left: float = field(default=0.0, compare=False)

    def __str__(self) -> str:
        return f"{self.callback} in {self.seconds_left:.3g} s"


def has_only_its_own_descriptor(loop: AbstractEventLoop) -> bool | None:
    """Return whether the loop watches only its own wake-up descriptor; None if not known."""
    return None if getattr(loop, "_selector", None) is None else not watched_descriptors(loop)


def is_ready(loop: AbstractEventLoop, apart_from: Collection[object] = ()) -> bool | None:
    """Return whether a callback is ready or a timer is set; None if that is not known.

    Calls of a method of one of the objects in `apart_from` do not count.
    """
    inside: Any = loop
    left_out = set(map(id, apart_from))
    try:
        owners = [
            getattr(each._callback, "__self__", None)
            for each in (*inside._ready, *inside._scheduled)
            if not each.cancelled()
        ]
        return any(id(each) not in left_out for each in owners)
    except AttributeError:
        return None


def watched_descriptors(loop: AbstractEventLoop) -> list[int]:
    """Return the descriptors that the loop watches, except those by which threads wake it."""
    own = getattr(loop, "_ssock", None)
    wake_up = -1 if own is None else own.fileno()
    found = (number for number, _ in _registered(loop))
    return [each for each in found if each != wake_up and not is_left_out(each)]


def timers_of(loop: AbstractEventLoop) -> tuple[Timer, ...]:
    """Return the timers of a loop that were not cancelled, in order of their times."""
    scheduled: list[TimerHandle] = getattr(loop, "_scheduled", [])
    now = loop.time()
    return tuple(
        Timer(each.when(), _name_of(each), each.when() - now)
        for each in sorted(scheduled)
        if not each.cancelled()
    )


def transports_of(loop: AbstractEventLoop) -> tuple[Transport, ...]:
    """Return the transports whose descriptors the loop watches."""
    found: dict[int, Transport] = {}
    for number, callback in _callbacks(loop):
        owner = getattr(callback, "__self__", None)
        if isinstance(owner, BaseTransport):
            found[id(owner)] = Transport(
                type(owner).__name__.strip("_"),
                number,
                socket_of(number),
                owner.is_closing(),
                creation_of(owner),
                id(owner),
            )
    return tuple(found.values())


def servers_of(loop: AbstractEventLoop) -> tuple[Server, ...]:
    """Return the servers whose sockets the loop watches."""
    found: dict[int, Server] = {}
    for number, argument in _arguments(loop):
        if isinstance(argument, asyncio.Server):
            listening = [socket_of(each.fileno()) for each in argument.sockets]
            if not listening:
                listening = [socket_of(number)]
            addresses = tuple(each.local for each in listening if each is not None)
            found[id(argument)] = Server(addresses, creation_of(argument), id(argument))
    return tuple(found.values())


def _registered(loop: AbstractEventLoop) -> list[tuple[int, SelectorKey]]:
    selector: BaseSelector | None = getattr(loop, "_selector", None)
    # None after it was closed; typeshed does not declare that.
    mapping: Mapping[Any, SelectorKey] | None = None if selector is None else selector.get_map()
    return [] if mapping is None else [(key.fd, key) for key in mapping.values()]


def _handles(loop: AbstractEventLoop) -> Iterator[tuple[int, Any]]:
    for number, key in _registered(loop):
        for handle in key.data or ():
            if handle is not None:
                yield number, handle


def _callbacks(loop: AbstractEventLoop) -> Iterator[tuple[int, object]]:
    for number, handle in _handles(loop):
        yield number, handle._callback


def _arguments(loop: AbstractEventLoop) -> Iterator[tuple[int, object]]:
    for number, handle in _handles(loop):
        for argument in handle._args or ():
            yield number, argument


def _name_of(handle: TimerHandle) -> str:
    inside: Any = handle
    callback = getattr(inside._callback, "func", inside._callback)  # of a partial
    return str(getattr(callback, "__qualname__", type(callback).__qualname__))
