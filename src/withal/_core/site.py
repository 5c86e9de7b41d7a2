"""Places in a program, stored as a code object and an offset; the line is computed on demand.

Walking a few frames takes a microsecond or two, a tenth of the time that computing lines takes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from types import CodeType, FrameType
from typing import Any, final

# The attributes that hold the frame of an awaitable, and the awaitable that it awaits in turn:
# https://docs.python.org/3/library/inspect.html#types-and-members
_FRAMES = "cr_frame", "gi_frame", "ag_frame"
_AWAITED = "cr_await", "gi_yieldfrom", "ag_await"
# The awaitables that the methods of an async generator and ``coroutine.__await__()`` return have
# neither. Their generator or coroutine is found through the garbage collector's references.
_WITHOUT_FRAME = frozenset(
    {"async_generator_asend", "async_generator_athrow", "anext_awaitable", "coroutine_wrapper"}
)

_PACKAGE = __name__.partition(".")[0]


@final
@dataclass(frozen=True, slots=True)
class Site:
    """A place in a program. ``str()`` of it returns file and line."""

    code: CodeType
    offset: int

    @property
    def file(self) -> str:
        """The path of the source file, as the interpreter knows it."""
        return self.code.co_filename

    @property
    def line(self) -> int:
        """The number of the line, from 1."""
        start = next(islice(self.code.co_positions(), self.offset // 2, None), (None,))[0]
        return start or self.code.co_firstlineno

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def site_of(frame: FrameType | None) -> Site | None:
    """Return the innermost place on the stack outside of withal, or else the outermost one."""
    last = None
    for each in _frames(frame):
        last = each
        module = each.f_globals.get("__name__", "")
        if module != _PACKAGE and not module.startswith(_PACKAGE + "."):
            break
    return None if last is None else Site(last.f_code, last.f_lasti)


def suspended_frames(awaited: object) -> Iterator[FrameType]:
    """Yield the frames of a suspended coroutine, from the outermost to the innermost."""
    while awaited is not None:
        while type(awaited).__name__ in _WITHOUT_FRAME:
            awaited = next(filter(_has_frame, gc.get_referents(awaited)), None)
        frame = _first_of(awaited, _FRAMES)
        if frame is not None:
            yield frame
        awaited = _first_of(awaited, _AWAITED)


def _has_frame(thing: object) -> bool:
    return _first_of(thing, _FRAMES) is not None or type(thing).__name__ in _WITHOUT_FRAME


def _first_of(thing: object, names: tuple[str, ...]) -> Any:  # the result of getattr()
    for name in names:
        found = getattr(thing, name, None)
        if found is not None:
            return found
    return None


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
