"""The places of a record's sites, in the form in which reports show them."""

from __future__ import annotations

import linecache
import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, final

from withal._core.printable import printable
from withal._core.site import Site

_INSTALLED = re.compile(r".*[/\\](?:site|dist)-packages[/\\]", re.DOTALL)
_MAX_LINE_CHARACTERS = 200  # of a line of source that is shown; longer ones are truncated


@final
@dataclass(frozen=True, slots=True)
class Location:
    """A line in a function. ``str()`` of it is printable.

    Attributes:
        file: the path as the interpreter has it.
        shown: the path to show: relative to the packages' folder, such as ``asyncio/tasks.py``, for
            installed packages and the standard library; else relative to the current folder.
        line: the number of the line, from 1.
        function: the qualified name of the function.
    """

    file: str
    shown: str
    line: int
    function: str

    @property
    def source(self) -> str:
        """The line itself, without its indentation; empty if the source cannot be read."""
        try:
            line = linecache.getline(self.file, self.line).strip()
        except ValueError:  # no file can have such a name
            return ""
        line = printable(line.expandtabs(1))
        return line if len(line) <= _MAX_LINE_CHARACTERS else line[:_MAX_LINE_CHARACTERS] + "..."

    def __str__(self) -> str:
        if self == UNKNOWN:
            return self.shown
        return printable(f"{self.shown}:{self.line} in {self.function}")


UNKNOWN: Final = Location("", "(no Python frame)", 0, "")
"""The location of a task without a Python frame, such as one of a coroutine in C."""


@final
class Places:
    """Computes the places of sites, with a cache.

    An audit has the same few sites thousands of times, and computing a line is slow.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[int, int], tuple[Site, Location]] = {}
        self._texts: dict[str, str] = {}

    def of(self, site: Site | None) -> Location:
        """Return where a site is, or `UNKNOWN`."""
        if site is None:
            return UNKNOWN
        # By identity, since comparing and hashing code objects uses all of their contents. The site
        # is kept, so that no other code object can have the same identity.
        key = id(site.code), site.offset
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = site, self._place(site)
        return found[1]

    def shorten(self, text: str) -> str:
        """Return the result of `shortened`, with a cache."""
        if text not in self._texts:
            self._texts[text] = shortened(text)
        return self._texts[text]

    def _place(self, site: Site) -> Location:
        return Location(
            file=site.file,
            shown=shown_path(site.file),
            line=site.line,
            function=site.code.co_qualname,
        )


def shown_path(path: str) -> str:
    """Return a path relative to the packages' folder, the standard library or the current folder.

    A path in none of these is returned unchanged.
    """
    for folder in _folders(os.getcwd(), tuple(sys.path)):
        if path.startswith(folder):
            return path.removeprefix(folder)
    return _INSTALLED.sub("", path)  # a path of another environment


def shortened(text: str) -> str:
    """Return a text in which each place, such as in a traceback, is shortened by `shown_path`."""
    folders = _folders(os.getcwd(), tuple(sys.path))
    return _places_below(folders).sub("", text) if folders else text


@lru_cache(maxsize=4)
def _folders(current: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the folders that are removed from paths, each with its separator, innermost first."""
    found = {os.path.join(each, "") for each in (current, *_library(), *path) if each}
    kept = {
        each
        for each in found
        if each == os.path.join(current, "")
        or _INSTALLED.fullmatch(each)
        or each.rstrip(os.sep) in set(_library())
    }
    return tuple(sorted(kept, key=len, reverse=True))


def _library() -> Iterator[str]:
    """Yield the folders of the standard library and of installed packages."""
    yield os.path.dirname(os.__file__)
    yield from (sysconfig.get_path(each) for each in ("stdlib", "platstdlib", "purelib", "platlib"))


@lru_cache(maxsize=4)
def _places_below(folders: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern that matches these folders in places with a line number."""
    any_of_them = "|".join(map(re.escape, folders))
    return re.compile(rf'(?<![^\s"\'(])(?:{any_of_them})(?=[^\n":]*(?:":?, line |:)\d)')
