"""The tally counts what the steps say, failed attempts included."""

from __future__ import annotations

import pytest

from withal.cli.tally import Tally
from withal.fetch import Progress, ProgressKind

STARTED, RECEIVED, RETRYING, FINISHED, FAILED, SKIPPED = ProgressKind


def step(
    kind: ProgressKind, received: int = 0, total: int | None = None, url: str = "a"
) -> Progress:
    return Progress(kind, url, url, 1, received, total)


def tally_of(*steps: Progress) -> Tally:
    tally = Tally()
    for each in steps:
        tally(each)
    return tally


def test_nothing_is_counted_before_the_first_step() -> None:
    tally = Tally()
    assert (tally.done, tally.failed, tally.retries, tally.received, tally.settled) == (0,) * 5


def test_the_bytes_of_failed_attempts_are_counted_too() -> None:
    tally = tally_of(
        step(STARTED),
        step(RECEIVED, 10, 100),
        step(RECEIVED, 60, 100),
        step(RETRYING),
        step(STARTED),
        step(RECEIVED, 30, 100),
        step(RECEIVED, 100, 100),
        step(FINISHED, 100, 100),
    )
    assert tally.received == 160
    assert (tally.done, tally.failed, tally.retries) == (1, 0, 1)


@pytest.mark.parametrize(
    ("received", "total", "settled"), [(0, 4, 0), (1, 4, 0.25), (4, 4, 1), (4, None, 0), (0, 0, 0)]
)
def test_a_file_on_its_way_counts_by_its_share(
    received: int, total: int | None, settled: float
) -> None:
    assert tally_of(step(RECEIVED, received, total)).settled == settled


def test_what_is_done_or_has_failed_counts_as_one() -> None:
    tally = tally_of(
        step(RECEIVED, 1, 2, "a"),
        step(FINISHED, 2, 2, "a"),
        step(RECEIVED, 1, 2, "b"),
        step(FAILED, url="b"),
        step(RECEIVED, 1, 2, "c"),
    )
    assert (tally.done, tally.failed, tally.settled) == (1, 1, 2.5)


def test_urls_that_are_shown_alike_are_counted_apart_by_the_names_of_their_files() -> None:
    steps = [Progress(RECEIVED, "url", name, 1, 3, 6) for name in ("x", "x-2")]
    tally = tally_of(*steps)
    assert (tally.received, tally.settled) == (6, 1)
