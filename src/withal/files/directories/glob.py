"""Glob patterns, matched by pathlib in many short steps, so that a thread can be stopped.

One ``next`` of `pathlib.Path.rglob` may visit a million folders before it finds anything, and it
cannot be stopped. So a pattern is split at its ``**``: the folders are found here, with a check of
a `Stop` at each, and `pathlib.Path.glob` matches the rest from each of them. The running Python
determines the matches. They differ: before 3.13 a ``**`` at the end matches folders only
(https://docs.python.org/3/library/pathlib.html#pathlib.Path.glob).

A pattern with two ``**`` or a ``..`` is not split, since that would need more of pathlib's rules.
pathlib matches it as a whole, and the thread stops at the next match.
"""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import final

from withal.files.threads.stop import Stop


@final
@dataclass(frozen=True, slots=True)
class Matching:
    """The keyword arguments of `pathlib.Path.glob`."""

    case_sensitive: bool | None
    recurse_symlinks: bool

    def glob(self, folder: pathlib.Path, pattern: str) -> Iterator[pathlib.Path]:
        """Match with pathlib, which raises an error for arguments of later versions."""
        given: dict[str, bool] = {}
        if self.case_sensitive is not None:
            given["case_sensitive"] = self.case_sensitive
        if self.recurse_symlinks:
            given["recurse_symlinks"] = True
        match: Callable[..., Iterator[pathlib.Path]] = folder.glob
        return match(pattern, **given)


def find(
    folder: pathlib.Path, pattern: str, matching: Matching, stop: Stop
) -> Generator[pathlib.Path, None, None]:
    """Find what ``folder.glob(pattern)`` finds, in an order of its own."""
    whole = matching.glob(folder, pattern)  # it raises an error for some invalid patterns now
    cut = _cut(pattern)
    if cut is None:
        yield from whole
        return
    head, tail = cut
    for start in _starts(folder, head, matching):
        if tail == "" and sys.version_info >= (3, 13) and not _ends_in_separator(pattern):
            yield start
            yield from _below(start, "*", matching, stop)
        else:
            yield from _below(start, tail, matching, stop)


def _cut(pattern: str) -> tuple[str, str] | None:
    """Return the parts before and after the only ``**``, if it can be split there.

    Example:
        >>> _cut("src/**/*.py")
        ('src', '*.py')
        >>> _cut("**/tests/**/*.py")
    """
    pure = pathlib.PurePath(pattern)
    parts = pure.parts
    if pure.anchor or ".." in parts or [part for part in parts if "**" in part] != ["**"]:
        return None
    at = parts.index("**")
    tail = os.sep.join(parts[at + 1 :])
    if tail and _ends_in_separator(pattern):
        tail += os.sep
    return os.sep.join(parts[:at]), tail


def _ends_in_separator(pattern: str) -> bool:
    return pattern[-1:] in {os.sep, os.altsep}


def _starts(folder: pathlib.Path, head: str, matching: Matching) -> Iterator[pathlib.Path]:
    if head:
        return matching.glob(folder, head + os.sep)  # folders only
    return iter([folder] if folder.is_dir() else [])


def _below(
    start: pathlib.Path, tail: str, matching: Matching, stop: Stop
) -> Generator[pathlib.Path, None, None]:
    """Match `tail` from each folder of a tree; if it is empty, find the folders themselves."""
    folders = [start]
    while folders:
        stop.check()
        folder = folders.pop()
        if tail:
            with suppress(PermissionError):  # a folder that can be listed but not entered
                yield from matching.glob(folder, tail)
        else:
            yield folder
        folders += reversed(_subfolders(folder, matching))


def _subfolders(folder: pathlib.Path, matching: Matching) -> list[pathlib.Path]:
    found: list[pathlib.Path] = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=matching.recurse_symlinks):
                    found.append(folder / entry.name)
    return found
