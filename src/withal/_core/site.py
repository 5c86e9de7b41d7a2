"""Places in a program, kept as a code object and an offset; the line is found when asked for.

A walk of a few frames costs a microsecond or two, which is ten times less than finding lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from types import CodeType, FrameType
from typing import final

_PACKAGE = __name__.partition(".")[0]


@final
@dataclass(frozen=True, slots=True)
class Site:
    """A place in a program. ``str()`` of it gives file and line, found when it is asked for."""

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
    """Return the nearest place up the stack that is not in withal, or else where withal began."""
    last = None
    for each in _frames(frame):
        last = each
        module = each.f_globals.get("__name__", "")
        if module != _PACKAGE and not module.startswith(_PACKAGE + "."):
            break
    return None if last is None else Site(last.f_code, last.f_lasti)


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
