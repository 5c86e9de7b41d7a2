"""File names that are safe on every file system, made of what a server calls its files."""

from __future__ import annotations

import unicodedata
from typing import final
from urllib.parse import unquote

NAME_BYTES = 224
"""The longest name in bytes of UTF-8: what file systems allow, 255, less a part file's marks."""

FALLBACK = "index.html"
"""The name of what has none: the page that a URL with an empty path or a final slash stands for."""

# A longer ending is no ending, but a sentence with a full stop in it.
_ENDING_BYTES = 16
# What separates folders, drives or streams, or is a wildcard, on some system.
_FORBIDDEN = frozenset('<>:"/\\|?*')
# Control characters; format characters, among them those that turn the direction of writing; halves
# of surrogate pairs; line and paragraph separators.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# The names of devices on Windows, with any ending.
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in "123456789"}
)


def name_in(path: str) -> str:
    """Return the safe name for a URL's path, percent-encoded as it is in the URL."""
    return safe_name(unquote(path).rpartition("/")[2])


def safe_name(name: str) -> str:
    """Return `name` with all that is unsafe replaced; a safe name is returned as it is.

    A safe name is not empty, has at most `NAME_BYTES` bytes, is in normal form C, has no separator,
    control or direction character, no dot, dash or space in front, no dot or space at the end, and
    is no device of Windows.

    Example:
        >>> safe_name("../../.bashrc"), safe_name("a:b?.txt"), safe_name("nul.txt"), safe_name("..")
        ('_.._.bashrc', 'a_b_.txt', '_nul.txt', 'index.html')
    """
    visible = "".join(map(_replace, unicodedata.normalize("NFC", name)))
    trimmed = visible.lstrip(" .-").rstrip(" .")
    if trimmed.partition(".")[0].rstrip(" ").casefold() in _DEVICES:
        trimmed = f"_{trimmed}"
    return _shorten(trimmed) or FALLBACK


@final
class Names:
    """Gives each file of a batch a name that no other has, on whatever file system.

    Names that differ only in case, or in how accents are composed, are the same file on some, so
    the second gets a number. The same names asked for in the same order give the same answers.
    """

    __slots__ = ("_next", "_taken")

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def claim(self, name: str) -> str:
        """Return `name`, or with a number before its ending if it is taken: ``a-2.txt``."""
        key = _fold(name)
        number = self._next.get(key, 1)
        free = _numbered(name, number)
        while _fold(free) in self._taken:
            number += 1
            free = _numbered(name, number)
        self._next[key] = number + 1
        self._taken.add(_fold(free))
        return free


def _replace(character: str) -> str:
    unsafe = character in _FORBIDDEN or unicodedata.category(character) in _INVISIBLE
    return "_" if unsafe else character


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else _shorten(name, f"-{number}")


def _shorten(name: str, addition: str = "") -> str:
    """Put `addition` before the ending, and shorten what stands before it to what fits."""
    stem, ending = _split(name)
    room = NAME_BYTES - len((addition + ending).encode())
    return f"{_cut(stem, room)}{addition}{ending}"


def _cut(text: str, size: int) -> str:
    """Cut to a number of bytes, at a character, leaving no dot or space at the end."""
    if len(text.encode()) <= size:
        return text
    return text.encode()[:size].decode(errors="ignore").rstrip(" .")


def _split(name: str) -> tuple[str, str]:
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending.encode()) >= _ENDING_BYTES:
        return name, ""
    return stem, dot + ending


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
