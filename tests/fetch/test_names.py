"""Names are safe on every file system, no two of a batch are one file, and all is repeatable."""

from __future__ import annotations

import ntpath
import os
import sys
import unicodedata
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withal.fetch.names import FALLBACK, NAME_BYTES, Names, name_in, safe_name
from withal.files.replace.owner_mark import NAME_BYTES as DISK_NAME_BYTES
from withal.files.replace.owner_mark import part_name

# What goes wrong is rare in arbitrary text, so it is mixed with what is known to.
AWKWARD = st.sampled_from(
    [
        *("..", ".", " ", "-", ":", "/", "\\", "%2F", "\0", "\n", "\u202e", "\u2066", "\u200f"),
        *("con", "CON", "nul.", "lpt1", ".txt", ".tar.gz", "x" * 250),
        *("e\u0301", "\u00e9", "\U0001f600"),
    ]
)
NAMES = st.lists(st.one_of(AWKWARD, st.text(max_size=5)), max_size=8).map("".join)


def is_reserved(name: str) -> bool:
    """Tell whether Windows keeps a name for a device. 3.13 has it in another place."""
    if sys.version_info >= (3, 13):
        return ntpath.isreserved(name)
    return PureWindowsPath(name).is_reserved()


@given(NAMES)
def test_a_name_is_safe(name: str) -> None:
    safe = safe_name(name)
    assert 1 <= len(safe.encode()) <= NAME_BYTES
    assert safe[0] not in " .-"
    assert safe[-1] not in " ."
    assert not set(safe) & set('<>:"/\\|?*')
    assert not {unicodedata.category(char) for char in safe} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert not is_reserved(safe)


@given(NAMES)
def test_a_safe_name_is_left_as_it_is(name: str) -> None:
    safe = safe_name(name)
    assert safe_name(safe) == safe


@given(NAMES)
def test_a_name_does_not_lead_out_of_its_folder(name: str) -> None:
    path = Path("/folder", safe_name(name))
    assert Path(os.path.normpath(path)).parent == Path("/folder")


@given(NAMES)
def test_a_name_from_a_url_is_safe_however_it_is_encoded(path: str) -> None:
    name = name_in(path)
    assert safe_name(name) == name


@given(st.lists(NAMES, max_size=8))
def test_no_two_names_of_a_batch_are_one_file_anywhere(names: list[str]) -> None:
    claimed = claim_all(names)
    folded = {unicodedata.normalize("NFC", name.casefold()) for name in claimed}
    assert len(folded) == len(names)
    assert [safe_name(name) for name in claimed] == claimed


@given(st.lists(NAMES, max_size=8))
def test_the_same_names_are_decided_the_same_way_each_time(names: list[str]) -> None:
    assert claim_all(names) == claim_all(names)


def claim_all(names: list[str]) -> list[str]:
    batch = Names()
    return [batch.claim(safe_name(name)) for name in names]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("", FALLBACK),
        ("/", FALLBACK),
        ("/folder/", FALLBACK),
        ("/..", FALLBACK),
        ("/%00", "_"),
        ("/a/b.txt", "b.txt"),
        ("/a%2F..%2Fb.txt", "b.txt"),
        ("/..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("/..%5C..%5Cwin.ini", "_.._win.ini"),
        ("/.bashrc", "bashrc"),
        ("/-rf", "rf"),
        ("/NUL.txt", "_NUL.txt"),
        ("/com1", "_com1"),
        ("/console.txt", "console.txt"),
        ("/gpj%E2%80%AE.exe", "gpj_.exe"),
        ("/caf%C3%A9", "caf\u00e9"),
        ("/cafe%CC%81", "caf\u00e9"),
        ("/%FF", "\ufffd"),
        ("/a+b%20c.txt", "a+b c.txt"),
        ("/name. ", "name"),
    ],
)
def test_a_url_path_is_named_by_its_last_part(path: str, name: str) -> None:
    assert name_in(path) == name


@pytest.mark.parametrize("length", [NAME_BYTES - 1, NAME_BYTES, NAME_BYTES + 1])
def test_a_long_name_is_cut_and_keeps_its_ending(length: int) -> None:
    name = safe_name("x" * (length - 7) + ".tar.gz")
    assert len(name) == min(length, NAME_BYTES)
    assert name.endswith(".gz")


def test_a_name_is_cut_between_characters() -> None:
    assert safe_name("\u20ac" * 200) == "\u20ac" * (NAME_BYTES // 3)


def test_a_long_name_that_collides_is_numbered_within_the_limit() -> None:
    batch = Names()
    name = safe_name("x" * 300 + ".txt")
    assert batch.claim(name) == name
    second = batch.claim(name)
    assert second.endswith("x-2.txt")
    assert len(second) == NAME_BYTES


def test_the_longest_name_leaves_room_for_the_part_files_marks() -> None:
    longest = "x" * NAME_BYTES
    part = part_name(longest, "0123456789abcdef")
    assert longest in part
    assert len(part) <= DISK_NAME_BYTES


@pytest.mark.parametrize(
    ("names", "claimed"),
    [
        (["a.txt", "a.txt", "a.txt"], ["a.txt", "a-2.txt", "a-3.txt"]),
        (["a.txt", "A.TXT"], ["a.txt", "A-2.TXT"]),
        (["a", "a"], ["a", "a-2"]),
        (["a-2.txt", "a.txt", "a.txt"], ["a-2.txt", "a.txt", "a-3.txt"]),
        (["stra\u00dfe", "STRASSE"], ["stra\u00dfe", "STRASSE-2"]),
        (["x.tar.gz", "x.tar.gz"], ["x.tar.gz", "x.tar-2.gz"]),
    ],
)
def test_a_name_that_is_taken_gets_a_number(names: list[str], claimed: list[str]) -> None:
    batch = Names()
    assert [batch.claim(name) for name in names] == claimed


def test_a_name_claimed_very_often_is_found_quickly() -> None:
    batch = Names()
    assert len({batch.claim(FALLBACK) for _ in range(2000)}) == 2000
