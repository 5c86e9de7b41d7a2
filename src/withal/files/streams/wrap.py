"""File objects from outside withal, used without blocking the event loop."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from functools import partial
from typing import IO, Any, AnyStr, final, overload

from withal.files.streams.binary import BinaryFile
from withal.files.streams.proxy import Forwarding
from withal.files.streams.text import TextFile
from withal.files.threads.serialized import Serial, SerializedCall


@overload
def wrap(file: IO[str] | io.TextIOBase) -> WrappedFile[str]: ...
@overload
def wrap(file: IO[bytes] | io.BufferedIOBase | io.RawIOBase) -> WrappedFile[bytes]: ...
def wrap(file: object) -> WrappedFile[Any]:
    """Return an asynchronous file object for one that is already open.

    `file` may be any object with the methods of a file: the result of `open`, `gzip.open` or
    `tempfile`, an `io.StringIO`, an object of your own. Each call that may wait is made in a
    thread. For a file on a disk, `withal.files.open` is much faster. Do not use `file` itself, and
    do not wrap it twice, while calls are in progress.

    Raises:
        TypeError: if it is not a file object, or is already asynchronous.

    Example:
        >>> import asyncio, gzip, tempfile
        >>> from withal import files
        >>> async def main(path: str) -> None:
        ...     async with files.wrap(gzip.open(path, "wt")) as file:
        ...         await file.write("one\\ntwo\\n")
        ...     async with files.wrap(gzip.open(path, "rt")) as file:
        ...         async for line in file:
        ...             print(line.strip())
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     asyncio.run(main(file.name))
        one
        two
    """
    if isinstance(file, BinaryFile | TextFile | Forwarding):
        raise TypeError(f"{file!r} is asynchronous already; use it as it is, without wrap()")
    if isinstance(file, type) or not _has_methods(file):
        kind = f"the class {file.__name__}" if isinstance(file, type) else type(file).__name__
        raise TypeError(
            f"wrap() takes an open file object, which has a method read or write, not {kind}:"
            f" {file!r}; to open a file by its name, use open()"
        )
    return WrappedFile(file)


def _has_methods(file: object) -> bool:
    return any(callable(getattr(file, name, None)) for name in ("read", "write"))


@final
class WrappedFile(Forwarding[AnyStr]):
    """A file object whose methods are called in threads; made by `wrap`.

    Its methods are those of the object, with the same arguments, results and errors; those that may
    wait are coroutines. A method that the object does not have raises `AttributeError`. Several
    tasks may use it: calls are made one at a time, first come, first served.

    A call that is cancelled before its turn is not made. One in progress continues in its thread,
    and the next call waits for its end. If it was a read, the next call with the same arguments
    returns its data, so that repeating a cancelled ``readline`` loses no data. A ``seek``, or a
    read with other arguments, discards that data: reading continues after it. If another call fails
    after it was cancelled, the error goes to the loop's exception handler.
    """

    __slots__ = ("_calls", "_file")

    def __init__(self, file: Any) -> None:  # anything with the methods of a file
        self._file = file
        self._calls = Serial()

    def __repr__(self) -> str:
        return f"<withal.files.WrappedFile of {self._file!r}>"

    @property
    def wrapped(self) -> Any:  # what was given to `wrap`
        """The file object itself."""
        return self._file

    @property
    def name(self) -> Any:  # a path or a descriptor, or what the object has for a name
        """The name of the object, such as the path that was opened."""
        return self._file.name

    @property
    def raw(self) -> Any:  # a file object of the standard library
        """The unbuffered file object underneath a binary one."""
        return self._file.raw

    def fileno(self) -> int:
        """Return the descriptor; an object in memory has none, and raises its own error."""
        return self._file.fileno()  # type: ignore[no-any-return]

    @property
    def _target(self) -> Any:  # anything with the methods of a file
        return self._file

    async def _perform(
        self, method: str, *args: object, **options: object
    ) -> Any:  # what that method returns
        return await perform(self._calls, self._file, method, *args, **options)

    async def close(self) -> None:
        """Close the file. Closing twice is harmless.

        It overtakes the calls that wait. A cancellation ends the wait; the file is still closed,
        when the call in progress has ended.
        """
        request = SerializedCall(self._file, "close", ())
        await self._calls.make_at_once(request, self._file.close)


async def perform(
    calls: Serial, file: object, method: str, *args: object, **options: object
) -> Any:  # what a method of anything returns
    """Call a method of a file object in a thread, after the earlier calls; see `WrappedFile`.

    Raises:
        AttributeError: if the object has no such method.
    """
    if method == "sync":  # which no other file object has
        return await calls.make(SerializedCall(file, method, ()), partial(_sync, file))
    function = getattr(file, method)
    if method in ("readinto", "readinto1"):
        return await _read_into(calls, file, method, *args)
    return await calls.make(SerializedCall(file, method, args), partial(function, *args, **options))


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


async def _read_into(calls: Serial, file: object, method: str, buffer: Any) -> int | None:
    """Read into a buffer, which is not changed any more after a cancellation."""
    view = memoryview(buffer).cast("B")
    if view.readonly:
        raise TypeError(
            f"{method}() argument must be read-write bytes-like object, not {type(buffer).__name__}"
        )
    request = SerializedCall(file, method, (len(view),))
    data = await calls.make(request, partial(_read_apart, getattr(file, method), len(view)))
    if data is None:  # it is non-blocking, and has no data yet
        return None
    view[: len(data)] = data
    return len(data)


def _read_apart(read_into: Callable[[bytearray], int | None], size: int) -> bytes | None:
    buffer = bytearray(size)
    count = read_into(buffer)
    return None if count is None else bytes(buffer[:count])
