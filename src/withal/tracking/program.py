"""Determines which code is the program's own, and which is a library's or the interpreter's."""

from __future__ import annotations

import asyncio
import enum
import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from types import CodeType
from typing import final

_TRACKING = os.path.dirname(__file__) + os.sep
_WITHAL = os.path.dirname(os.path.dirname(__file__)) + os.sep
_PACKAGES = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))


@final
class FileOwner(enum.Enum):
    """The owner of a source file."""

    PROGRAM = "program"
    LIBRARY = "library"
    STANDARD = "standard library"
    TRACKER = "tracker"


# On 3.11, looking up a member on its class takes ten times as long as reading a name (measured).
PROGRAM, LIBRARY, STANDARD, TRACKER = FileOwner


@final
class TrackedProgram:
    """Determines the owner of a source file, by its path.

    Files that are neither in the standard library nor in a folder of installed packages are the
    program's own.

    Args:
        also: names of installed packages that count as the program's own.

    Attributes:
        known: a cache of owners by file.
        barriers: the `id` of each code object in which a loop runs callbacks. The search for an
            opener stops there, since the callers of the loop have not opened the resource.
    """

    def __init__(self, also: Iterable[str] = ()) -> None:
        self.known: dict[str, FileOwner] = {}
        self._paths: dict[str, str] = {}
        self.barriers: set[int] = {id(code) for code in _loop_codes()}
        self._also = frozenset(also)
        paths = sysconfig.get_paths()
        folders = {paths["stdlib"], paths["platstdlib"], os.path.dirname(os.__file__)}
        folders |= {os.path.realpath(each) for each in folders}
        self._standard = tuple(each + os.sep for each in folders)

    def owner(self, file: str) -> FileOwner:
        """Return the owner of a file; `file` is the name in its code objects."""
        owner = self.known.get(file)
        if owner is None:
            owner = self.known[file] = self._owner(file)
        return owner

    def is_within(self, file: str, starts: tuple[str, ...]) -> bool:
        """Return whether a file's path, relative to its packages' folder, starts with these."""
        path = self._paths.get(file)
        if path is None:
            path = self._paths[file] = self._below_packages(file) or ""
        return path.startswith(starts)

    def add_barrier(self, code: CodeType) -> None:
        """Add a function in which a loop runs callbacks."""
        self.barriers.add(id(code))

    def hide(self, function: object) -> None:
        """Treat the file of a function as a part of the tracker."""
        code = getattr(function, "__code__", None)
        if code is not None:
            self.known[code.co_filename] = TRACKER

    def _owner(self, file: str) -> FileOwner:
        if file.startswith(_TRACKING):
            return TRACKER
        if file.startswith("<"):  # frozen, or generated at run time, as by dataclasses
            return PROGRAM if file in ("<stdin>", "<string>") and _is_typed(file) else STANDARD
        package = self._package(file)
        if package is not None:
            return PROGRAM if package in self._also else LIBRARY
        if file.startswith(_WITHAL):
            return LIBRARY
        return STANDARD if file.startswith(self._standard) else PROGRAM

    @staticmethod
    def _below_packages(file: str) -> str | None:
        """Return the path relative to the folder of packages, or None if it is not in one."""
        for folder in _PACKAGES:
            _, found, rest = file.rpartition(folder)
            if found:
                return rest
        return None

    @classmethod
    def _package(cls, file: str) -> str | None:
        """Return the name of the installed package, or None if it is not in one."""
        path = cls._below_packages(file)
        return None if path is None else path.partition(os.sep)[0].removesuffix(".py")

    def shown(self, file: str) -> str:
        """Return the path to show for a file, relative to the program or the packages' folder."""
        path = self._below_packages(file)
        if path is not None:
            return path
        for base in (sys.path[0] if sys.path else "", os.getcwd()):
            try:
                return str(Path(file).resolve().relative_to(Path(base).resolve()))
            except (ValueError, OSError):
                continue
        return file


def _loop_codes() -> tuple[CodeType, ...]:
    return (
        asyncio.Handle._run.__code__,
        asyncio.BaseEventLoop.run_forever.__code__,
        asyncio.Runner.run.__code__,
    )


def _is_typed(file: str) -> bool:
    """Return whether code of this name may be the program itself: ``python -c`` or its input."""
    argument = sys.orig_argv[1:2]
    return bool(argument) and file == {"-c": "<string>", "-": "<stdin>"}.get(argument[0])
