"""The arguments of `open`, checked as the builtin does, before anything is opened."""

from __future__ import annotations

import codecs
import io
import locale
import os
import sys
import warnings
from functools import lru_cache
from typing import NamedTuple, final

_NEWLINES = (None, "", "\n", "\r", "\r\n")


@final
class Mode(NamedTuple):
    """A parsed mode. A tuple, since its class is created quickly at import.

    Attributes:
        text: the mode, as passed to `open`.
        is_text: whether it is a text mode.
        kind: ``"r"``, ``"w"``, ``"a"`` or ``"x"``.
        updates: whether it has a ``"+"``.
        is_readable: whether the file can be read.
        is_writable: whether the file can be written.
        flags: the flags for ``open(2)``.
        of_binary: the mode of the binary file, as the standard library's objects have it.
    """

    text: str
    is_text: bool
    kind: str
    updates: bool
    is_readable: bool
    is_writable: bool
    flags: int
    of_binary: str


def parse(mode: object) -> Mode:
    """Parse a mode.

    Raises:
        TypeError: if it is not a string.
        ValueError: if it is not a valid mode.
    """
    if not isinstance(mode, str):
        raise TypeError(f"open() argument 'mode' must be str, not {type(mode).__name__}")
    return _parsed(mode)


@lru_cache(maxsize=64)
def _parsed(mode: str) -> Mode:
    letters = set(mode)
    if letters - set("axrwb+t") or len(mode) > len(letters):
        raise ValueError(f"invalid mode: {mode!r}")
    if {"t", "b"} <= letters:
        raise ValueError("can't have text and binary mode at once")
    kinds = letters & set("axrw")
    if len(kinds) != 1:
        raise ValueError(
            "must have exactly one of create/read/write/append mode"
            if kinds
            else "Must have exactly one of create/read/write/append mode and at most one plus"
        )
    kind, updates = kinds.pop(), "+" in letters
    return Mode(
        mode,
        "b" not in letters,
        kind,
        updates,
        is_readable=updates or kind == "r",
        is_writable=updates or kind != "r",
        flags=_flags(kind, updates),
        of_binary=_of_binary(kind, updates),
    )


def _flags(kind: str, updates: bool) -> int:
    flags = os.O_RDONLY if kind == "r" else os.O_WRONLY
    if updates:
        flags = os.O_RDWR
    more = {
        "r": 0,
        "w": os.O_CREAT | os.O_TRUNC,
        "a": os.O_CREAT | os.O_APPEND,
        "x": os.O_CREAT | os.O_EXCL,
    }
    binary = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
    return flags | more[kind] | binary | getattr(os, "O_CLOEXEC", 0)


def _of_binary(kind: str, updates: bool) -> str:
    if kind in "ax":
        return f"{kind}b+" if updates else f"{kind}b"
    if updates and kind == "w":
        return "wb+" if sys.version_info >= (3, 15) else "rb+"
    return "rb+" if updates else f"{kind}b"


def check_options(
    mode: Mode, buffering: object, encoding: object, errors: object, newline: object
) -> None:
    """Check that the options are valid in this mode.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if an argument has no effect in this mode, or is invalid.
    """
    if not isinstance(buffering, int):
        name = type(buffering).__name__
        raise TypeError(f"{name!r} object cannot be interpreted as an integer")
    for what, value in (("encoding", encoding), ("errors", errors), ("newline", newline)):
        if value is not None and not isinstance(value, str):
            name = type(value).__name__
            raise TypeError(f"open() argument {what!r} must be str or None, not {name}")
        if value is not None and not mode.is_text:
            article = "an" if what != "newline" else "a"
            raise ValueError(f"binary mode doesn't take {article} {what} argument")
    if mode.is_text and not buffering:
        raise ValueError("can't have unbuffered text I/O")
    if newline not in _NEWLINES:
        raise ValueError(f"illegal newline value: {newline}")
    if not mode.is_text and buffering == 1:
        warnings.warn(
            "line buffering (buffering=1) isn't supported in binary mode, the default buffer size "
            "will be used",
            RuntimeWarning,
            stacklevel=4,
        )


def text_encoding(encoding: str | None) -> str:
    """Return the encoding to use: the locale's, if none is given.

    Raises:
        LookupError: if the encoding does not exist, or is not a text encoding.
    """
    name = io.text_encoding(encoding, 4)
    if name == "locale":
        name = "utf-8" if sys.flags.utf8_mode else locale.getencoding()
    if not codecs.lookup(name)._is_text_encoding:  # the same check as in io
        raise LookupError(
            f"{name!r} is not a text encoding; use codecs.open() to handle arbitrary codecs"
        )
    return name
