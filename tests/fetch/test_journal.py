"""The journal survives what tears it, and is never believed against the folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withal.fetch import Request
from withal.fetch.disk.journal import (
    JOURNAL_NAME,
    History,
    Journal,
    PartRecord,
    Validator,
    done_line,
    failed_line,
    gone_line,
    part_line,
)
from withal.fetch.disk.owner import Owner, myself
from withal.fetch.fingerprints import FingerprintSet, fingerprint

PART = PartRecord(
    ".a.12345678.part", "a", 7, "http://host.example/a", Validator("ETag", '"x"'), 10, myself()
)


@contextmanager
def journal_in(folder: Path) -> Iterator[Journal]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        journal = Journal.open_in(descriptor)
    finally:
        os.close(descriptor)
    try:
        yield journal
    finally:
        journal.close()


def history_of(*lines: bytes) -> History:
    history = History()
    for line in lines:
        history.take(line)
    return history


def test_what_was_fetched_is_known_by_url_name_and_size() -> None:
    history = history_of(done_line('a"\u20ac', "http://host.example/", 7, 10, PART.validator))
    assert history.is_done(7, 'a"\u20ac', 10)
    for key, name, size in (8, 'a"\u20ac', 10), (7, "b", 10), (7, 'a"\u20ac', 11):
        assert not history.is_done(key, name, size)


def test_a_part_is_known_until_it_is_done_or_gone() -> None:
    assert history_of(part_line(PART)).parts == {"a": PART}
    assert not history_of(part_line(PART), gone_line(PART.part, "a")).parts
    assert not history_of(part_line(PART), done_line("a", "", 7, 10, None)).parts


def test_a_part_that_another_has_taken_the_place_of_is_not_forgotten() -> None:
    second = replace(PART, part=".a.87654321.part")
    history = history_of(part_line(PART), part_line(second))
    assert (history.parts, history.superseded) == ({"a": second}, [PART])
    history.take(gone_line(PART.part, "a"))
    assert (history.parts, history.superseded) == ({"a": second}, [])


@given(st.binary())
def test_no_line_breaks_it(line: bytes) -> None:
    history_of(line, line[: len(line) // 2])


@pytest.mark.parametrize("end", range(0, len(part_line(PART)), 7))
def test_a_torn_line_is_passed_over_and_the_next_begins_anew(tmp_path: Path, end: int) -> None:
    (tmp_path / JOURNAL_NAME).write_bytes(
        done_line("b", "", 1, 1, None) + b"\n" + part_line(PART)[:end]
    )
    with journal_in(tmp_path) as journal:
        history = journal.history()
        assert history.is_done(1, "b", 1)
        journal.append([done_line("c", "", 2, 2, None)])
        assert journal.history().is_done(2, "c", 2)


@pytest.mark.parametrize("part", ["../x", "/etc/passwd", "a/.b", "", "x", ".\0"])
def test_a_part_outside_of_its_folder_is_not_believed(part: str) -> None:
    assert not history_of(part_line(replace(PART, part=part))).parts


def test_what_failed_is_returned_as_requests(tmp_path: Path) -> None:
    with journal_in(tmp_path) as journal:
        journal.append(
            [
                failed_line("a", "http://host.example/a", 1, "why", {}),
                failed_line(
                    "b", "http://host.example/b", 2, "why", {"sha256": "0" * 64, "size": 3}
                ),
                failed_line("a", "http://host.example/a", 1, "again", {}),
            ]
        )
        assert list(journal.failed()) == [
            Request("http://host.example/a", "a"),
            Request("http://host.example/b", "b", "0" * 64, 3),
        ]


def test_a_journal_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"), journal_in(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


# Owners


def test_this_process_is_alive_and_one_that_has_ended_is_dead() -> None:
    assert not myself().is_dead()
    code = "from withal.fetch.disk.owner import myself; print(repr(myself()))"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    owner: Owner = eval(child.stdout, {"Owner": Owner})
    assert owner.is_dead()


@pytest.mark.parametrize("field", ["host", "boot", "space"])
def test_one_that_cannot_be_seen_from_here_may_live(field: str) -> None:
    dead = replace(myself(), started="0")
    assert dead.is_dead()
    assert not replace(dead, **{field: "another"}).is_dead()  # type: ignore[arg-type]


def test_a_number_that_was_given_to_another_process_is_not_the_owner() -> None:
    assert replace(myself(), pid=1, started="x").is_dead()


# Fingerprints


@given(st.lists(st.text()))
def test_a_set_of_fingerprints_is_a_set(texts: list[str]) -> None:
    marks = FingerprintSet()
    seen = set[str]()
    for text in texts:
        assert marks.add(fingerprint(text)) == (text not in seen)
        seen.add(text)
    assert all(fingerprint(text) in marks for text in texts)
    assert fingerprint("not there") not in marks or "not there" in seen


def test_what_is_removed_from_a_set_is_not_in_it_and_the_rest_is() -> None:
    marks = FingerprintSet()
    for number in range(5000):
        marks.add(fingerprint(str(number)))
    for number in range(0, 5000, 2):
        marks.discard(fingerprint(str(number)))
    assert [fingerprint(str(number)) in marks for number in range(4)] == [False, True] * 2
    assert marks.add(fingerprint("0"))


def test_a_large_set_of_fingerprints_is_right() -> None:
    marks = FingerprintSet()
    assert all(marks.add(fingerprint(str(number))) for number in range(20_000))
    assert all(fingerprint(str(number)) in marks for number in range(20_000))
    assert not any(fingerprint(str(number)) in marks for number in range(20_000, 40_000))
