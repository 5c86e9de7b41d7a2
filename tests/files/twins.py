"""A file of `files.open` and one of the builtin `open`, on two copies of the same content.

`Twins.take` makes the same step on both and compares what comes of it: the value, or the type of
the error and, where the message is one that programs and people know, the message.

Four things are allowed to differ, and each is kept out of the comparison as narrowly as it can be:

- *How far is decoded at once.* With ``errors="strict"`` the standard library raises when the 8 KiB
  with the bad bytes are decoded, ours when its own chunk is. So when one of the two raises a
  `UnicodeDecodeError`, the other must raise it now or while it reads on to the end of the file.
- *Where text is written after a partial read.* The standard library writes it where the chunk that
  it had read ended, and ``truncate()`` cuts there. That place depends on its chunk's size, so there
  is a ``seek(tell())`` before, on both. After reading to the end there is none.
- *Where an appending file believes to be.* After a seek and a write it says a position that
  depends on what has been flushed. So there is a ``seek(0, 2)`` before a write that follows
  anything else. The same goes for an encoding with a byte order mark in a mode with "+", whose
  encoder and decoder do not know in the middle of a file whether the mark has been.
- *tell() during iteration.* The standard library's ``next()`` disables it; ours is to work. So the
  standard library's twin is iterated by ``readline()``, which gives the same lines. Its
  ``readlines(hint)`` calls ``next()`` too.
"""

from __future__ import annotations

import builtins
import inspect
import io
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.files.content import MARKED, Content
from withal.files.streams import open_file as opening

PURE = 1 << 64
"""A text position below this is an offset in bytes; above, it also has a decoder's state."""

WELL_KNOWN = re.compile(
    r"^(I/O operation on closed file|not readable|not writable|File not open for (reading|writing)"
    r"|can't do nonzero (cur|end)-relative seeks|negative seek position -\d+|invalid whence .*"
    r"|underlying buffer has been detached|raw stream has been detached"
    r"|a bytes-like object is required, not '\w+'|write\(\) argument must be str, not \w+"
    r"|unknown encoding: .*|unknown error handler name .*|invalid mode: .*"
    r"|illegal newline value: .*"
    r"|binary mode doesn't take an? \w+ argument|can't have unbuffered text I/O"
    r"|can't have text and binary mode at once|must have exactly one of .*"
    r"|Cannot use closefd=False with file name|embedded null byte|opener returned .*)\.?$",
    re.IGNORECASE,
)

# Text has no peek, a reader no write...: where the standard library's object has not got a method,
# ours may have it and say that it cannot.
MISSING = (AttributeError, io.UnsupportedOperation)


@dataclass(frozen=True, slots=True)
class Setup:
    """How a file is opened, and what is in it. No `content` means that there is no file."""

    mode: str
    buffering: int = -1
    encoding: str | None = None
    errors: str | None = None
    newline: str | None = None
    content: Content | None = None

    @property
    def options(self) -> tuple[int, str | None, str | None, str | None]:
        return self.buffering, self.encoding, self.errors, self.newline

    @property
    def text(self) -> bool:
        return "b" not in self.mode

    @property
    def strict(self) -> bool:
        return self.text and self.errors in (None, "strict")


@dataclass(frozen=True, slots=True)
class Step:
    """One operation and its arguments."""

    name: str
    args: tuple[Any, ...] = ()  # of any: the arguments of any method

    def __repr__(self) -> str:
        return f"Step({self.name!r}, {self.args!r})" if self.args else f"Step({self.name!r})"


@dataclass(frozen=True, slots=True)
class Raised:
    """An error, as far as it is compared."""

    error: Exception

    def message(self) -> str:
        return str(self.error).rstrip(".")


class Unfinished(Exception):  # noqa: N818 - no error: a way out
    """The comparison ends here, in good order."""


async def outcome(function: Callable[..., Any], *args: Any) -> Any:
    """Return what the call gives, awaited if it is a coroutine, or what it raises."""
    try:
        result = function(*args)
        return await result if inspect.isawaitable(result) else result
    except Exception as error:
        return Raised(error)


def agree(ours: Any, theirs: Any, what: object) -> None:
    """Raise `AssertionError` unless both outcomes are the same."""
    if not isinstance(theirs, Raised):
        assert not isinstance(ours, Raised), f"{what}: ours raised {ours.error!r}, theirs not"
        same = ours == theirs and type(ours) is type(theirs)
        assert same, f"{what}: ours {_short(ours)}, theirs {_short(theirs)}"
        return
    assert isinstance(ours, Raised), f"{what}: ours gave {_short(ours)}, theirs {theirs.error!r}"
    if isinstance(theirs.error, AttributeError):
        assert isinstance(ours.error, MISSING), f"{what}: {ours.error!r}"
        return
    if isinstance(ours.error, io.UnsupportedOperation) and isinstance(theirs.error, TypeError):
        return  # since 3.12 even an operation that there is not looks at its arguments first
    both = f"{what}: ours {ours.error!r}, theirs {theirs.error!r}"
    assert type(ours.error) is type(theirs.error), both
    if isinstance(theirs.error, OSError):
        assert isinstance(ours.error, OSError)
        assert ours.error.errno == theirs.error.errno, both
    if WELL_KNOWN.match(str(theirs.error)):
        assert ours.message() == theirs.message(), both
    elif "closed file" in str(theirs.error):  # "read of closed file", "flush of closed file"
        assert "closed file" in str(ours.error), both


class Twins:
    """The two files. Make it with `open_twins`."""

    def __init__(self, setup: Setup, ours: Any, theirs: Any) -> None:
        self.setup = setup
        self.ours = ours  # of any: one driver for all kinds of file
        self.theirs = theirs
        self._marks: list[tuple[int, int]] = []
        self._ahead = False  # text was read that is not all that there is
        self._last = ""  # what the last step was: "read", "write" or something else
        self._plus = "+" in setup.mode
        self._marked = setup.text and setup.encoding in MARKED

    async def take(self, step: Step) -> None:
        """Make a step on both files and compare; raise `Unfinished` after undecodable bytes."""
        own = getattr(self, f"_{step.name}", None)
        if own is not None:
            await own(*step.args)
        else:
            await self._same(step.name, *step.args)

    # -- the comparison of one call --------------------------------------------------------------

    async def _same(self, name: str, *args: Any) -> Any:
        theirs = await outcome(getattr, self.theirs, name)
        if not isinstance(theirs, Raised):
            theirs = await outcome(theirs, *args)
        ours = await outcome(self._call, name, *args)
        return await self._settle(ours, theirs, Step(name, args))

    def _call(self, name: str, *args: Any) -> Any:
        return getattr(self.ours, name)(*args)

    async def _settle(self, ours: Any, theirs: Any, what: object) -> Any:
        """Compare two outcomes, of which either may have met undecodable bytes first."""
        met = [_undecodable(ours), _undecodable(theirs)]
        if any(met):
            if not met[0]:
                ours = await outcome(self.ours.read)
            if not met[1]:
                theirs = await outcome(self.theirs.read)
            assert _undecodable(ours), f"{what}: theirs cannot be decoded, and ours can"
            assert _undecodable(theirs), f"{what}: ours cannot be decoded, and theirs can"
            raise Unfinished
        agree(ours, theirs, what)
        return theirs

    # -- reading ---------------------------------------------------------------------------------

    async def _reading(self, name: str, *args: Any) -> Any:
        await self._before_reading()
        return await self._same(name, *args)

    async def _before_reading(self) -> None:
        if self._marked and self._plus and self._last == "write":
            await self._seek(0, 0)
        self._last = "read"
        self._ahead = self.setup.text

    async def _read(self, *args: Any) -> None:
        result = await self._reading("read", *args)
        if (not args or args[0] in (None, -1)) and not isinstance(result, Raised):
            self._ahead = self._marked

    async def _readline(self, *args: Any) -> None:
        await self._reading("readline", *args)

    async def _readlines(self, *args: Any) -> None:
        if self.setup.text and args and isinstance(args[0], int) and args[0] > 0:
            await self._before_reading()
            theirs = await outcome(self._their_readlines, *args)
            ours = await outcome(self.ours.readlines, *args)
            await self._settle(ours, theirs, Step("readlines", args))
        else:
            await self._reading("readlines", *args)

    def _their_readlines(self, hint: int) -> list[str]:
        """Read lines until they have more characters than the hint."""
        lines: list[str] = []
        have = 0
        while have <= hint and (line := self.theirs.readline()):
            lines.append(line)
            have += len(line)
        return lines

    async def _readall(self) -> None:
        if isinstance(self.theirs, io.RawIOBase):
            await self._same("readall")
        elif not self.setup.text:  # the standard library's buffered files call it read()
            agree(await outcome(self.ours.readall), await outcome(self.theirs.read), "readall")

    async def _readinto(self, size: int) -> None:
        if self.setup.text:
            return
        mine, other = bytearray(b"?" * size), bytearray(b"?" * size)
        ours = await outcome(self.ours.readinto, mine)
        agree(ours, await outcome(self.theirs.readinto, other), f"readinto {size}")
        assert mine == other, f"readinto {size}: the buffers differ"

    async def _read1(self, size: int) -> None:
        """Compare as far as the shorter of the two goes: how much comes at once is not promised."""
        if not hasattr(self.theirs, "read1"):
            return
        start = await outcome(self.theirs.tell)
        theirs = await outcome(self.theirs.read1, size)
        ours = await outcome(self.ours.read1, size)
        if isinstance(theirs, Raised):
            agree(ours, theirs, f"read1 {size}")
            return
        assert isinstance(ours, bytes), f"read1 {size}: {ours!r}"
        assert bool(ours) == bool(theirs), (
            f"read1 {size}: ours {ours[:20]!r}, theirs {theirs[:20]!r}"
        )
        assert size < 0 or len(ours) <= size
        common = min(len(ours), len(theirs))
        assert ours[:common] == theirs[:common], f"read1 {size}"
        await self._same("seek", start + common)

    async def _peek(self, size: int) -> None:
        """Compare what is ahead as far as both tell it: that is for each to choose."""
        if not hasattr(self.theirs, "peek"):
            return
        theirs, ours = await outcome(self.theirs.peek, size), await outcome(self.ours.peek, size)
        if isinstance(theirs, Raised):
            agree(ours, theirs, f"peek {size}")
            return
        assert isinstance(ours, bytes), f"peek {size}: {ours!r}"
        common = min(len(ours), len(theirs))
        assert ours[:common] == theirs[:common], f"peek {size}"
        if not ours:  # at the end; or was something held back?
            agree(ours, await outcome(self.theirs.read, 1), f"peek {size}, then read 1")
            await self._same("read", 0)

    async def _iterate(self, count: int) -> None:
        """Take a few lines by ``async for``, and leave."""
        await self._before_reading()
        for _ in range(count):
            theirs = await outcome(self.theirs.readline)
            ours = await outcome(self._next_line)
            if not await self._settle(ours, theirs, "async for") or isinstance(theirs, Raised):
                return

    async def _next_line(self) -> Any:
        async for line in self.ours:
            return line
        return "" if self.setup.text else b""

    async def _batches(self) -> None:
        """Take all the lines that there are, in batches of any size."""
        await self._before_reading()
        await self._settle(
            await outcome(self._all_batches), await outcome(self.theirs.readlines), "batches"
        )

    async def _all_batches(self) -> list[Any]:
        lines: list[Any] = []
        async for batch in self.ours.batches():
            assert batch, "an empty batch"
            lines += batch
        return lines

    async def _pread(self, size: int, offset: int) -> None:
        if self.setup.text:
            return
        theirs = await outcome(self._their_pread, size, offset)
        ours = await outcome(self.ours.pread, size, offset)
        if isinstance(theirs, Raised) and isinstance(theirs.error, OSError):
            # EBADF of a descriptor that is open for writing only: ours may look at the mode.
            assert isinstance(ours, Raised), f"pread: {ours!r}"
            assert isinstance(ours.error, OSError), repr(ours.error)
            return
        agree(ours, theirs, f"pread {size} at {offset}")

    def _their_pread(self, size: int, offset: int) -> bytes:
        self.theirs.flush()
        return os.pread(self.theirs.fileno(), size, offset)

    # -- writing ---------------------------------------------------------------------------------

    async def _writing(self, name: str, *args: Any) -> None:
        if ("a" in self.setup.mode or (self._marked and self._plus)) and self._last != "write":
            await self._seek(0, 2)
        elif self._ahead:
            await self._resynchronise()
        self._last = "write"
        await self._same(name, *args)

    async def _write(self, data: object) -> None:
        await self._writing("write", data)

    async def _writelines(self, lines: list[object]) -> None:
        await self._writing("writelines", lines)

    async def _truncate(self, *args: Any) -> None:
        if self._ahead:
            await self._resynchronise()
        self._last = "truncate"
        await self._same("truncate", *args)

    async def _pwrite(self, data: bytes, offset: int) -> None:
        if self.setup.text:
            return
        self._last = "pwrite"
        theirs = await outcome(self._their_pwrite, data, offset)
        ours = await outcome(self.ours.pwrite, data, offset)
        if isinstance(theirs, Raised) and isinstance(theirs.error, OSError):
            assert isinstance(ours, Raised), f"pwrite: {ours!r}"
            assert isinstance(ours.error, OSError), repr(ours.error)
            return
        agree(ours, theirs, f"pwrite {data!r} at {offset}")

    def _their_pwrite(self, data: bytes, offset: int) -> int:
        """Write beside the buffer, and make the standard library forget what it has read ahead."""
        self.theirs.flush()
        written = os.pwrite(self.theirs.fileno(), data, offset)
        here = self.theirs.tell()
        self.theirs.seek(0, 2)
        self.theirs.seek(here)
        return written

    # -- positions -------------------------------------------------------------------------------

    async def _resynchronise(self) -> None:
        """Seek to where both are."""
        await self._tell()
        await self._return_to(-1)

    async def _seek(self, offset: object, whence: int = 0) -> None:
        self._last = "seek"
        theirs = await outcome(self.theirs.seek, offset, whence)
        ours = await outcome(self.ours.seek, offset, whence)
        if isinstance(theirs, int) and theirs >= PURE:
            assert isinstance(ours, int), f"seek: {ours!r}"
        else:
            agree(ours, theirs, Step("seek", (offset, whence)))
            if isinstance(theirs, int):
                self._ahead = False

    async def _tell(self) -> None:
        """Compare positions where they are offsets in bytes, and keep them to return to."""
        theirs, ours = await outcome(self.theirs.tell), await outcome(self.ours.tell)
        if isinstance(theirs, Raised) and "reconstruct" in theirs.message():
            raise Unfinished  # the standard library does not know where it is
        if isinstance(theirs, int) and theirs >= PURE:
            assert isinstance(ours, int), f"tell: {ours!r}"
        else:
            agree(ours, theirs, "tell")
        if isinstance(theirs, int):
            self._marks.append((ours, theirs))

    async def _return_to(self, index: int) -> None:
        """Seek each to a position of its own telling."""
        if not self._marks:
            return
        ours, theirs = self._marks[index % len(self._marks)]
        self._last = "seek"
        first = await outcome(self.ours.seek, ours)
        second = await outcome(self.theirs.seek, theirs)
        if isinstance(second, Raised):
            agree(first, second, "seek to what tell said")
            return
        assert first == ours, f"seek to {ours}, which tell said, gave {first!r}"
        self._ahead = False

    # -- the rest --------------------------------------------------------------------------------

    async def _properties(self) -> None:
        for name in ("mode", "closed", "encoding", "errors", "line_buffering"):
            if hasattr(self.theirs, name):
                agree(getattr(self.ours, name), getattr(self.theirs, name), name)
        assert str(self.ours.name).removesuffix("ours") == str(self.theirs.name).removesuffix(
            "theirs"
        )
        for name in ("readable", "writable", "seekable", "isatty"):
            await self._same(name)

    async def _reopen_elsewhere(self) -> None:
        """Look at the file through another descriptor, after a flush."""
        await self._same("flush")
        if not self.theirs.closed:
            ours, theirs = Path(self.ours.name), Path(self.theirs.name)
            assert ours.read_bytes() == theirs.read_bytes(), "the contents after a flush differ"

    async def _detach(self) -> None:
        """Take both apart; what was in front is of no use then, and what was behind is closed."""
        flushed = await outcome(self.theirs.flush)
        agree(await outcome(self.ours.flush), flushed, "flush before detach")
        theirs, ours = await outcome(self.theirs.detach), await outcome(self.ours.detach)
        if isinstance(theirs, Raised):
            agree(ours, theirs, "detach")
            return
        assert not isinstance(ours, Raised), f"detach: {ours.error!r}"
        for name, args in (("read", (1,)), ("tell", ()), ("flush", ()), ("seek", (0,))):
            await self._same(name, *args)
        for part in (ours, theirs):
            assert not isinstance(await outcome(part.close), Raised)
        raise Unfinished


def _undecodable(result: Any) -> bool:
    return isinstance(result, Raised) and isinstance(result.error, UnicodeError)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 200 else f"{text[:100]} ... {text[-80:]} ({len(text)} characters)"


async def compare(setup: Setup, steps: list[Step], folder: Path) -> None:
    """Open both, make the steps, close both, and compare the contents."""
    paths = folder / "ours", folder / "theirs"
    for path in paths:
        path.unlink(missing_ok=True)
        if setup.content is not None:
            path.write_bytes(setup.content.build(setup.encoding or "utf-8"))
    with warnings.catch_warnings(record=True) as caught:  # buffering=1 in binary mode warns
        warnings.simplefilter("always")
        theirs = await outcome(builtins.open, paths[1], setup.mode, *setup.options)
        warned = len(caught)
        ours = await outcome(open_ours, paths[0], setup.mode, *setup.options)
        assert [each.category for each in caught[:warned]] == [
            each.category for each in caught[warned:]
        ], f"other warnings: {[str(each.message) for each in caught]}"
    if isinstance(theirs, Raised):
        agree(ours, theirs, setup)
        return
    assert not isinstance(ours, Raised), f"opening: {ours.error!r}"
    try:
        await follow(Twins(setup, ours, theirs), steps)
    finally:
        await outcome(ours.close)
        await outcome(theirs.close)
    assert paths[0].read_bytes() == paths[1].read_bytes(), "the contents differ in the end"


async def open_ours(*args: Any, **options: Any) -> Any:  # of any: right or wrong ones
    return await opening.open(*args, **options)


async def follow(twins: Twins, steps: list[Step]) -> None:
    try:
        for step in steps:
            await twins.take(step)
    except Unfinished:
        return
    await twins.take(Step("close"))
    await twins.take(Step("close"))
    agree(twins.ours.closed, twins.theirs.closed, "closed")
