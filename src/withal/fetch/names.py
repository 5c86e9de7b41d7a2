"""Makes file names that are safe on every file system from the paths of URLs."""

from __future__ import annotations

import re
import unicodedata
from typing import final
from urllib.parse import unquote

from withal.fetch.fingerprints import FingerprintSet, fingerprint

NAME_BYTES = 224
"""The longest name in bytes of UTF-8: 255, less the additions of a part file."""

FALLBACK = "index.html"
"""The name for a URL with an empty path or a final slash."""

# A longer part after the last dot is not a file name extension.
_ENDING_BYTES = 16
# Separators of folders, drives or streams, and wildcards, on some system.
_FORBIDDEN = frozenset('<>:"/\\|?*')
# Control characters; format characters, such as those that change the direction of writing;
# surrogates;
# line and paragraph separators.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# The names of devices on Windows, with any ending.
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in "123456789"}
)

_MAX_DEVICE_CHARACTERS = 4
# Most names are safe: ASCII letters and digits, and characters without a special meaning on any
# system.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+=@,-]*(?:\.[A-Za-z0-9_+=@,-]+)*")


def name_in(path: str) -> str:
    """Return the safe name for a URL's path, percent-encoded as it is in the URL."""
    return safe_name(unquote(path).rpartition("/")[2])


def safe_name(name: str) -> str:
    """Return `name` with unsafe characters replaced; a safe name is returned unchanged.

    A safe name is not empty, has at most `NAME_BYTES` bytes, is in normal form C, has no separator,
    control or direction character, no dot, dash or space in front, no dot or space at the end, and
    is not a device of Windows.

    Example:
        >>> safe_name("../../.bashrc"), safe_name("a:b?.txt"), safe_name("nul.txt"), safe_name("..")
        ('_.._.bashrc', 'a_b_.txt', '_nul.txt', 'index.html')
    """
    if len(name) <= NAME_BYTES and _PLAIN.fullmatch(name):
        stem = name.partition(".")[0]
        if len(stem) > _MAX_DEVICE_CHARACTERS or stem.casefold() not in _DEVICES:
            return name
    visible = "".join(map(_replace, unicodedata.normalize("NFC", name)))
    trimmed = visible.lstrip(" .-").rstrip(" .")
    if trimmed.partition(".")[0].rstrip(" ").casefold() in _DEVICES:
        trimmed = f"_{trimmed}"
    return _shorten(trimmed) or FALLBACK


@final
class Names:
    """Gives each file of a batch a unique path, on any file system.

    Names that differ only in case, or in how accents are composed, are the same file on some, so
    the second gets a number. No folder has the name of a file. The same paths in the same order
    have the same results.
    """

    __slots__ = ("_files", "_folders", "_next")

    def __init__(self) -> None:
        self._files = FingerprintSet()
        self._folders = FingerprintSet()
        self._next: dict[int, int] = {}  # the next number, for names claimed more than once

    def claim(self, path: str) -> str:
        """Return `path`, with numbers added to names that are not free: ``a-2.txt``."""
        folder, slash, name = path.rpartition("/")
        if slash:
            folder = f"{self._claim_folder(folder)}/"
        mark = fingerprint(_fold(folder + name))
        if mark not in self._folders and self._files.add(mark):
            return folder + name
        number = self._next.get(mark, 2)
        while True:
            numbered = folder + _numbered(name, number)
            number += 1
            claimed = fingerprint(_fold(numbered))
            if self._is_free(claimed):
                break
        self._next[mark] = number
        self._files.add(claimed)
        return numbered

    def claim_exactly(self, path: str) -> bool:
        """Claim exactly `path`; return whether it was free."""
        parts = path.split("/")
        folders = ["/".join(parts[:end]) for end in range(1, len(parts))]
        marks = [fingerprint(_fold(folder)) for folder in folders]
        mark = fingerprint(_fold(path))
        if not self._is_free(mark) or any(each in self._files for each in marks):
            return False
        for each in marks:
            self._folders.add(each)
        return self._files.add(mark)

    def _is_free(self, mark: int) -> bool:
        return mark not in self._files and mark not in self._folders

    def _claim_folder(self, path: str) -> str:
        """Return the path of a folder, with numbers added to names of files."""
        claimed = ""
        for part in path.split("/"):
            number = 1
            while True:
                folder = claimed + _numbered(part, number)
                mark = fingerprint(_fold(folder))
                if mark not in self._files:
                    break
                number += 1
            self._folders.add(mark)
            claimed = f"{folder}/"
        return claimed[:-1]


def ending_of(name: str) -> str:
    """Return the ending of a safe name, with its dot; empty if it has none."""
    return _split(name)[1]


def _replace(character: str) -> str:
    unsafe = character in _FORBIDDEN or unicodedata.category(character) in _INVISIBLE
    return "_" if unsafe else character


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else _shorten(name, f"-{number}")


def _shorten(name: str, addition: str = "") -> str:
    """Insert `addition` before the ending, and shorten the stem to fit."""
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
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", name.casefold())
