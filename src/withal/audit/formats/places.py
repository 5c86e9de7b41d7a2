"""Where the sites of a record are, as the reader of a report sees them."""

from __future__ import annotations

import linecache
import os
from dataclasses import dataclass
from typing import Final, final

from withal._core.printable import printable
from withal._core.site import Site

_WIDEST = 200  # characters of a line of source; what is longer was not written by hand


@final
@dataclass(frozen=True, slots=True)
class Place:
    """A line in a function. ``str()`` of it can be printed.

    Attributes:
        file: the path as the interpreter knows it.
        shown: the same, relative to the current folder if it is below that.
        line: the number of the line, from 1.
        function: the qualified name of the function.
    """

    file: str
    shown: str
    line: int
    function: str

    @property
    def source(self) -> str:
        """The line itself, without its indentation; empty where the source cannot be read."""
        try:
            line = linecache.getline(self.file, self.line).strip()
        except ValueError:  # no file can have such a name
            return ""
        line = printable(line.expandtabs(1))
        return line if len(line) <= _WIDEST else line[:_WIDEST] + "..."

    def __str__(self) -> str:
        if self == UNKNOWN:
            return self.shown
        return printable(f"{self.shown}:{self.line} in {self.function}")


UNKNOWN: Final = Place("", "(no frame of Python's)", 0, "")
"""Where a task waits that has no frame to show, such as one of a coroutine in C."""


@final
class Places:
    """Finds the places of sites, and those that it has found before at once.

    An audit meets a few sites thousands of times, and finding a line is slow.
    """

    def __init__(self) -> None:
        self._folder = os.path.join(os.getcwd(), "")
        self._found: dict[tuple[int, int], tuple[Site, Place]] = {}

    def of(self, site: Site | None) -> Place:
        """Return where a site is, or `UNKNOWN`."""
        if site is None:
            return UNKNOWN
        # By identity: code objects are compared and hashed by all that is in them. The site is kept
        # so that no other code object can come to have the same identity.
        key = id(site.code), site.offset
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = site, self._place(site)
        return found[1]

    def _place(self, site: Site) -> Place:
        return Place(
            file=site.file,
            shown=site.file.removeprefix(self._folder),
            line=site.line,
            function=site.code.co_qualname,
        )
