"""Copying from one open file to another, each of which may be asynchronous or block."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from withal.files.threads.calls import call
from withal.files.threads.stop import Stop, stoppable

R = TypeVar("R", str, bytes, covariant=True)
W = TypeVar("W", str, bytes, contravariant=True)

CHUNK_BYTES = 256 * 1024
"""How much is read at a time: each part may take a call in a thread, or a suspension."""


class Readable(Protocol[R]):
    """A file object that can be read, asynchronous or not."""

    def read(self, size: int, /) -> R | Awaitable[R]:
        """Return up to so many bytes or characters; nothing at the end."""
        ...


class Writable(Protocol[W]):
    """A file object that can be written, asynchronous or not."""

    def write(self, data: W, /) -> object:  # the result is not used
        """Write bytes or characters."""
        ...


async def copy(source: object, target: object, length: int) -> None:  # `Readable` and `Writable`
    """Copy to the end of the source; see `withal.files.os.copyfileobj`."""
    read, write = _method(source, "read"), _method(target, "write")
    length = length or CHUNK_BYTES
    if not _is_asynchronous(read) and not _is_asynchronous(write):
        await stoppable(_pump, read, write, length)
        return
    while data := await _made(read, length):
        await _made(write, data)


def _method(file: object, name: str) -> Callable[..., object]:
    method = getattr(file, name, None)
    if not callable(method):
        raise TypeError(f"copyfileobj() takes open file objects, and {file!r} has no {name}()")
    found: Callable[..., object] = method
    return found


def _is_asynchronous(method: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(method)


async def _made(method: Callable[..., Any], *args: object) -> object:  # what it returns
    if _is_asynchronous(method):
        return await method(*args)
    return await call(method, *args)


def _pump(
    stop: Stop, read: Callable[[int], object], write: Callable[[object], object], length: int
) -> None:
    """Copy in a thread, as `shutil.copyfileobj` does."""
    while data := read(length):
        stop.check()
        write(data)
        stop.check()
