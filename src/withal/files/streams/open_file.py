"""Opening a file: without a thread if no disk is needed; no thread ever waits for a FIFO.

Opening a FIFO waits for its other end, in a thread that could not be cancelled. A FIFO is therefore
opened as non-blocking, as all files are: it opens for reading immediately, and its first read waits
for a writer; opening for writing is repeated until there is a reader.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator
from stat import S_ISREG
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    TypeVar,
    final,
    overload,
)

from withal._core.errors import AlreadyEnteredError
from withal._core.events import current_observers
from withal._core.managers import EmitsEvents
from withal.files.loop_budget import OPENING_COST, LoopBudget, loop_budget
from withal.files.streams.binary import BinaryFile
from withal.files.streams.channel import Channel, Positional, Sequential
from withal.files.streams.inline_attempts import inline_attempts
from withal.files.streams.just_opened import JustOpened
from withal.files.streams.mode import Mode, check_options, parse, text_encoding
from withal.files.streams.open_file_io import (
    FileName,
    Found,
    OpenArguments,
    Opener,
    TextOptions,
    find_blocking,
    find_of_descriptor,
    give_back,
)
from withal.files.streams.text import TextFile
from withal.files.system.descriptor import CountedDescriptor
from withal.files.system.page_cache import (
    MAX_INLINE_BYTES,
    inline_way,
    note_folder,
    open_cached,
)
from withal.files.system.residency import Way
from withal.files.threads.calls import call_and_own
from withal.files.threads.pool import Later, has_calls

if TYPE_CHECKING:
    from _typeshed import OpenBinaryMode, OpenTextMode

    from withal.files.streams.events import FileEvents

F_co = TypeVar("F_co", covariant=True)

_FIRST_PAUSE_SECONDS = 0.001
_MAX_PAUSE_SECONDS = 0.05  # seconds between two checks whether a FIFO has a reader


@overload
def open(  # noqa: A001 - the name of the builtin, which it stands for
    file: FileName,
    mode: OpenTextMode = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Opener | None = None,
) -> Opening[TextFile]: ...
@overload
def open(  # noqa: A001
    file: FileName,
    mode: OpenBinaryMode,
    buffering: int = -1,
    encoding: None = None,
    errors: None = None,
    newline: None = None,
    closefd: bool = True,
    opener: Opener | None = None,
) -> Opening[BinaryFile]: ...
@overload
def open(  # noqa: A001
    file: FileName,
    mode: str,
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Opener | None = None,
) -> Opening[Any]: ...  # which of the two is known when it runs
def open(  # noqa: A001
    file: FileName,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Opener | None = None,
) -> Opening[Any]:
    """Open a file, as the builtin `open` does, without blocking the event loop.

    ``async with files.open(path) as file: ...`` closes it; ``file = await files.open(path)`` leaves
    that to ``await file.close()``. The file is a `TextFile`, or in a binary mode a `BinaryFile`.
    The arguments are those of the builtin; `opener` is called in a thread.

    The returned object can be entered by one task at a time. A file that was not closed writes its
    buffered data and closes itself with a `ResourceWarning`, when it is collected or the
    interpreter ends; an error goes to `sys.unraisablehook`. Its buffered data is also written when
    the event loop ends.

    A cancelled opening leaves nothing open. Observers get events of the file, a resource of the
    kind ``"file"``. It is safe to enter it ``inline`` in a scope.

    A FIFO opens for reading immediately, and the first read waits until there is a writer.

    Raises:
        AlreadyEnteredError: if the returned object is entered twice at the same time.
        OSError: if it cannot be opened, as the builtin raises. Raised now or when it is awaited:
        TypeError, ValueError, LookupError: if an argument is not valid, as for the builtin.

    Example:
        >>> import asyncio, tempfile
        >>> from withal import files
        >>> async def main(folder: str) -> None:
        ...     async with files.open(f"{folder}/greeting.txt", "w") as file:
        ...         await file.write("hello\\nworld\\n")
        ...     async with files.open(f"{folder}/greeting.txt") as file:
        ...         async for line in file:
        ...             print(line.strip())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        hello
        world
    """
    if type(file) is not str:
        file = _checked(file)
    elif "\0" in file:
        raise ValueError("embedded null byte")
    parsed = parse(mode)
    options = (encoding, errors, newline)
    if type(buffering) is not int or buffering >= 0 or options != _NO_OPTIONS:
        check_options(parsed, buffering, encoding, errors, newline)
    if not closefd and not isinstance(file, int):
        raise ValueError("Cannot use closefd=False with file name")
    text = None
    if parsed.is_text:
        text = TextOptions(text_encoding(encoding), errors or "strict", newline)
    return Opening(OpenArguments(file, parsed, closefd, opener, buffering, text))


_NO_OPTIONS = (None, None, None)


def _checked(file: FileName) -> FileName:
    """Return a name as a string or bytes, or a descriptor."""
    if isinstance(file, int):
        if file < 0:
            raise ValueError("negative file descriptor")
        return file
    name = os.fspath(file)
    if "\0" in name if isinstance(name, str) else b"\0" in name:
        raise ValueError("embedded null byte")
    return name


@final
class Opening(EmitsEvents, Generic[F_co]):
    """The result of `open`: ``await`` or ``async with`` opens the file."""

    __slots__ = ("_file", "_is_entered", "_is_held", "_source")

    def __init__(self, source: OpenArguments) -> None:
        self._source = source
        self._is_held = False
        self._is_entered = False
        self._file: Any = None  # F_co; a covariant type may not be stored

    def __repr__(self) -> str:
        return f"<withal.files.Opening {self._source.file!r} mode={self._source.mode.text!r}>"

    def _delegate_events(self, name: str | None) -> tuple[str, str]:
        """Leave the events to the scope that enters it."""
        self._is_held = True
        return name or str(self._source.file), "file"

    def __await__(self) -> Generator[object, Any, F_co]:
        budget = loop_budget()
        if budget.remaining < 0:
            yield from budget.checkpoint().__await__()
        file = self._open_now(budget)
        if file is None:
            file = yield from self._open().__await__()
        return file  # type: ignore[no-any-return]  # F_co

    async def __aenter__(self) -> F_co:
        if self._is_entered:
            raise AlreadyEnteredError(str(self._source.file))
        self._is_entered = True  # before anything is awaited: two tasks may enter it
        try:
            budget = loop_budget()
            if budget.remaining < 0:
                await budget.checkpoint()
            file = self._open_now(budget)
            if file is None:
                file = await self._open()
        except BaseException:
            self._is_entered = False
            raise
        self._file = file
        return file  # type: ignore[no-any-return]  # F_co

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        file, self._file = self._file, None
        self._is_entered = False
        if not file._close_nowait():
            await file.close()

    def _open_now(self, budget: LoopBudget) -> Any:  # F_co, or None
        """Open it without waiting; None if that is not possible, or if there are observers."""
        if not self._is_held and current_observers():
            return None
        budget.remaining -= OPENING_COST
        if inline_attempts.are_unpromising():
            return None
        file = _open_cached(self._source, None)
        inline_attempts.note(file is not None)
        return file

    async def _open(self) -> Any:  # F_co
        """Open it in a thread, or with events for observers."""
        events = None if self._is_held else _events_of(self._source.file)
        try:
            file = None if events is None else _open_cached(self._source, events)
            if file is None:
                file = _file_of(self._source, await _find(self._source), events)
            loop_budget().remaining -= OPENING_COST
        except BaseException as error:
            if events is not None:
                events.failed(error)
            raise
        if events is not None:
            events.opened()
        return file


def _events_of(file: FileName) -> FileEvents | None:
    """Report that a file opens, if there are observers."""
    if not current_observers():
        return None
    from withal.files.streams.events import FileEvents

    return FileEvents(str(file), current_observers())


def binary_file(
    found: Found,
    name: object,
    mode: Mode,
    closefd: bool,
    buffering: int = -1,
    events: FileEvents | None = None,
) -> BinaryFile:
    """Return a file of a descriptor."""
    number, status, position, is_nonblocking, is_ours, early, way = found
    descriptor = CountedDescriptor(number, name, closefd)
    channel: Channel
    if way is not None or found.is_positional:
        channel = Positional(descriptor, status, way)
    else:
        channel = Sequential(descriptor, is_nonblocking=is_nonblocking)
    file = BinaryFile(channel, name, mode, position, buffering, not is_ours, events)
    if early is not None and buffering < 0:
        file._reader.expect(early)
    return file


def _file_of(
    source: OpenArguments, found: Found, events: FileEvents | None
) -> TextFile | BinaryFile:
    """Return a file object for a descriptor."""
    buffering, early = source.buffering, found.early
    if early is not None and early.is_whole and source.text is None and events is None:
        assert found.way is not None
        number, status = found.number, found.status
        return JustOpened(number, status, source.file, source.mode, found.way, early)
    size = -1 if buffering == 1 else buffering
    binary = binary_file(found, source.file, source.mode, source.closefd, size, events)
    if source.text is None:
        return binary
    is_terminal = not found.is_positional and os.isatty(found.number)
    return _text_file(source, binary, is_terminal)


def _file_of_regular(
    source: OpenArguments, number: int, status: os.stat_result, way: Way, events: FileEvents | None
) -> TextFile | BinaryFile:
    """Return a file object for a regular file that has just been opened by name."""
    buffering = source.buffering
    size = -1 if buffering == 1 else buffering
    if (
        source.text is None
        and buffering < 0
        and events is None
        and 0 < status.st_size <= MAX_INLINE_BYTES
    ):
        return JustOpened(number, status, source.file, source.mode, way)
    channel = Positional(CountedDescriptor(number, source.file, True), status, way, True)
    binary = BinaryFile(channel, source.file, source.mode, 0, size, False, events)
    return binary if source.text is None else _text_file(source, binary, False)


def _text_file(source: OpenArguments, binary: BinaryFile, is_terminal: bool) -> TextFile:
    text, buffering = source.text, source.buffering
    assert text is not None
    return TextFile(
        binary,
        source.mode.text,
        encoding=text.encoding,
        errors=text.errors,
        newline=text.newline,
        line_buffering=buffering == 1 or (buffering < 0 and is_terminal),
    )


def _open_cached(source: OpenArguments, events: FileEvents | None) -> TextFile | BinaryFile | None:
    """Open a file that is in memory; None if that is not possible without waiting."""
    path = source.file
    if source.mode.is_writable or source.opener is not None or type(path) is not str:
        return None
    number = open_cached(path)
    if number is None:
        return None
    try:
        status = os.fstat(number)
    except BaseException:
        os.close(number)
        raise
    if not S_ISREG(status.st_mode):
        return _file_of(source, find_of_descriptor(number, source), events)
    way = inline_way(number, status.st_dev)
    if way == "thread":
        note_folder(path)
    return _file_of_regular(source, number, status, way, events)


async def _find(source: OpenArguments) -> Found:
    """Open it in a thread; wait for the reader of a FIFO without a thread."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        find: Callable[[OpenArguments, bool], Found | Later[Found | None] | None] = find_blocking
        found = await call_and_own(find, source, has_calls(), give_back=give_back, is_brief=True)
        if found is not None:
            return found
        await asyncio.sleep(pause)
        pause = min(2 * pause, _MAX_PAUSE_SECONDS)
