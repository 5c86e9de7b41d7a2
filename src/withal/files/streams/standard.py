"""The standard streams: `sys.stdin`, `sys.stdout` and `sys.stderr`, without blocking the loop.

A thread that reads from a terminal cannot be cancelled: it would consume the next line, and the
program would not end before the user presses a key. So standard input is read by its descriptor,
which the loop watches. Output is written by the objects of `sys` themselves, which keeps it in
order with `print`.
"""

from __future__ import annotations

import asyncio
import io
import sys
import weakref
from collections.abc import Callable
from typing import Any, AnyStr, Final, final

from withal.files.streams.binary import BinaryFile
from withal.files.streams.mode import parse
from withal.files.streams.open_file import binary_file
from withal.files.streams.open_file_io import look_at
from withal.files.streams.proxy import Forwarding
from withal.files.streams.text import TextFile
from withal.files.streams.wrap import perform
from withal.files.threads.calls import call
from withal.files.threads.serialized import Serial


@final
class _Input:
    """The replacement of `sys.stdin`, as long as that is the same object."""

    __slots__ = ("_loop", "_stand_for", "_text", "calls")

    def __init__(self) -> None:
        self.calls: Final = Serial()
        self._stand_for: weakref.ref[object] | None = None
        self._text: TextFile | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def file(self) -> TextFile | None:
        """Return a file for the descriptor of `sys.stdin`; None if that cannot be used."""
        stdin: object = sys.stdin
        if self._stand_for is None or self._stand_for() is not stdin:
            self._text = _over_descriptor(stdin)
            self._stand_for = None if self._text is None else weakref.ref(stdin)
        if self._text is None or (isinstance(stdin, io.TextIOWrapper) and stdin.closed):
            return None
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Read-ahead data is kept for the next loop. A lock and its waiters belong to one loop.
            self._loop = loop
            self._text._reader.rebind()
        return self._text

    async def close(self) -> None:
        """Close the file, and `sys.stdin` even if this is cancelled."""
        file = self.file()
        try:
            if file is not None:
                await file.close()
        finally:
            await call(_there(sys.stdin, "sys.stdin").close)


def _over_descriptor(stdin: object) -> TextFile | None:
    """Return a file for the descriptor of an object; None if the object also converts the data."""
    if type(stdin) is not io.TextIOWrapper or stdin.closed:
        return None
    try:
        raw = getattr(stdin.buffer, "raw", None)
    except ValueError:  # it has been detached
        return None
    if type(raw) is not io.FileIO:  # a compressed file has a descriptor, too
        return None
    binary = binary_file(
        look_at(raw.fileno(), is_ours=False),
        raw.name,
        parse("rb"),
        closefd=False,
    )
    return TextFile(
        binary,
        "r",
        encoding=stdin.encoding,
        errors=stdin.errors or "strict",
        newline=None,
        line_buffering=False,
    )


@final
class StandardStream(Forwarding[AnyStr]):
    """One of the six standard streams; each use gets the present object of `sys`.

    Its methods are those of the object in `sys`, with the same arguments, results and errors; those
    that may wait are coroutines. Replacing `sys.stdout` while the program runs, as pytest and
    `contextlib.redirect_stdout` do, replaces the target.

    **Output** is written in a thread, by the object itself, so that it stays in order with
    ``print``. Calls are made one at a time. A cancelled write is still made, unless it was waiting
    for another call. As with ``print``, the program does not end before a pipe has accepted the
    data that is being written.

    **Input** is read by the descriptor, and the event loop waits for it: a cancelled read leaves no
    thread, loses no data, and does not keep the program from ending. The text stream and the one of
    bytes share the read-ahead data, also across several calls of `asyncio.run`, so use them from
    one loop at a time. They do not see what `sys.stdin` itself has read ahead: use these, or
    ``input()`` and the like, not both. If `sys.stdin` was replaced by an object in memory, or if
    the loop cannot watch the descriptor, as on Windows, a read is made in a thread, as
    `WrappedFile` does.

    Raises:
        RuntimeError: if the process was started without that stream, so that it is None in `sys`.

    Example:
        >>> import asyncio
        >>> from withal import files
        >>> async def main() -> None:
        ...     await files.stdout.write("hello\\n")
        >>> asyncio.run(main())
        hello
    """

    __slots__ = ("_calls", "_find", "_input", "_name")

    def __init__(
        self,
        name: str,
        find: Callable[[], object],  # whatever stands in sys
        calls: Serial,
        source: _Input | None = None,
    ) -> None:
        self._name = name
        self._find = find
        self._calls = calls
        self._input = source

    def __repr__(self) -> str:
        return f"<withal.files.{self._name}>"

    @property
    def name(self) -> Any:  # a str, of the objects that Python itself puts there
        """The name of the object in `sys`, such as ``"<stdin>"``."""
        return self._target.name

    @property
    def raw(self) -> Any:  # a file object of the standard library
        """The unbuffered file object underneath a stream of bytes."""
        return self._target.raw

    def fileno(self) -> int:
        """Return the descriptor, if the object in `sys` has one."""
        return self._target.fileno()  # type: ignore[no-any-return]

    @property
    def _target(self) -> Any:  # whatever stands in sys
        return self._find()

    async def _perform(
        self, method: str, *args: object, **options: object
    ) -> Any:  # what that method returns
        target = self._target
        file = self._file_over_descriptor()
        if file is not None:
            result = await getattr(file, method)(*args, **options)
            if method != "reconfigure":
                return result
        return await perform(self._calls, target, method, *args, **options)

    def _file_over_descriptor(self) -> TextFile | BinaryFile | None:
        if self._input is None:
            return None
        file = self._input.file()
        return file if file is None or self._name == "stdin" else file.buffer

    async def close(self) -> None:
        """Close the object in `sys`. Closing twice is harmless."""
        if self._input is not None:
            await self._input.close()
        else:
            await call(self._target.close)


def _there(stream: object, name: str) -> Any:  # whatever stands in sys
    """Return the object in `sys`, if there is one."""
    if stream is None:
        raise RuntimeError(
            f"lost {name}: it is None, since this process was started without it; start it with"
            f" one, such as {'<' if name == 'sys.stdin' else '>'}/dev/null"
        )
    return stream


_input = _Input()
_output = Serial()
_errors = Serial()

stdin: Final[StandardStream[str]] = StandardStream(
    "stdin", lambda: _there(sys.stdin, "sys.stdin"), _input.calls, _input
)
stdout: Final[StandardStream[str]] = StandardStream(
    "stdout", lambda: _there(sys.stdout, "sys.stdout"), _output
)
stderr: Final[StandardStream[str]] = StandardStream(
    "stderr", lambda: _there(sys.stderr, "sys.stderr"), _errors
)
stdin_bytes: Final[StandardStream[bytes]] = StandardStream(
    "stdin_bytes", lambda: _there(sys.stdin, "sys.stdin").buffer, _input.calls, _input
)
stdout_bytes: Final[StandardStream[bytes]] = StandardStream(
    "stdout_bytes", lambda: _there(sys.stdout, "sys.stdout").buffer, _output
)
stderr_bytes: Final[StandardStream[bytes]] = StandardStream(
    "stderr_bytes", lambda: _there(sys.stderr, "sys.stderr").buffer, _errors
)
