"""Against servers that misbehave, each final name is absent or byte-exact: after success, failure,
SIGINT, SIGKILL and rerun; and what else is left is explained by the journal.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.fetch import hostile
from tests.fetch.fetch_hostile import options
from tests.fetch.hostile import ALSO, EXPECTED, LARGE, NAMES, changed, content
from tests.fetch.transports import TRANSPORTS
from withal.fetch import FetchOptions, Report, fetch
from withal.fetch.disk.byte_ranges import ByteRanges
from withal.fetch.disk.journal import JOURNAL_NAME, History

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("WITHAL_KILLS", "6"))
HERE = Path(__file__).parent

FILES: dict[str, bytes] = {name: body for name, body in EXPECTED.items() if isinstance(body, bytes)}
FILES |= {safe: content(name, 1000) for name, safe in NAMES.items()}
ALSO["changes_meanwhile"] = content("changes_meanwhile")


@contextmanager
def serving(port: int = 0) -> Iterator[str]:
    """Start the server's process, and yield its address."""
    command = (sys.executable, "-P", hostile.__file__, str(port))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def check(folder: Path, *, is_over: bool) -> None:
    """Check the invariant."""
    history = History()
    journal = folder / JOURNAL_NAME
    if journal.exists():
        for line in journal.read_bytes().splitlines():
            history.take(line)
    explained = {part.part for part in (*history.parts.values(), *history.superseded)}
    for path in folder.iterdir():
        name = path.name
        if name == JOURNAL_NAME or name in explained:
            continue
        if name.startswith(".") and name.endswith(".part") and not is_over:
            continue  # of one that cannot be continued; the next run removes it
        assert name in FILES, f"{name} must not be there"
        found = path.read_bytes()
        assert found in (FILES[name], ALSO.get(name)), f"{name} is wrong: {len(found)} bytes"


def check_outcomes(outcomes: dict[str, str | None], folder: Path) -> None:
    """Check that each name came out as it should."""
    for name, expected in EXPECTED.items():
        reason = outcomes[name]
        if isinstance(expected, bytes):
            assert reason is None, f"{name}: {reason}"
            assert (folder / name).exists(), name
        else:
            assert reason is not None, f"{name} came to an end"
            assert re.search(expected, reason), f"{name}: {reason}"
            assert not (folder / name).exists(), name
    for name in NAMES.values():
        assert (folder / name).exists(), name
    check(folder, is_over=True)


def outcomes_of(report: Report) -> dict[str, str | None]:
    return {
        result.url.rpartition("/")[2]: result.error and result.error.reason
        for result in report.results
    }


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("segments", [1, 4])
async def test_each_behaviour_has_its_outcome(
    tmp_path: Path, transport: str, segments: int
) -> None:
    folder = tmp_path / "folder"
    with serving() as server:
        urls = [f"{server}/{name}" for name in (*EXPECTED, *NAMES)]
        report = await fetch(urls, folder, options=options(transport, segments))
    check_outcomes(outcomes_of(report), folder)
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("segments", [1, 4])
def test_killed_at_any_moment_and_run_again_it_comes_out_the_same(
    tmp_path: Path, how: signal.Signals, transport: str, segments: int
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with serving() as server:
        for kill in range(KILLS):
            process = start(folder, transport, server, (*EXPECTED, *NAMES), segments)
            try:
                process.communicate(timeout=random.Random(kill).uniform(0.2, 3.0))
            except subprocess.TimeoutExpired:
                process.send_signal(how)
                process.communicate()
            check(folder, is_over=how is signal.SIGINT)
        process = start(folder, transport, server, (*EXPECTED, *NAMES), segments)
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    lines = [json.loads(line) for line in told.splitlines()]
    check_outcomes({url.rpartition("/")[2]: reason for url, reason in lines}, folder)


def start(
    folder: Path, transport: str, server: str, names: tuple[str, ...], segments: int = 1
) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", str(HERE / "fetch_hostile.py"), str(folder)]
    return subprocess.Popen(
        [*command, transport, str(segments), server, *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "NO_PROXY": "*"},
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_no_byte_is_fetched_again_that_could_have_been_continued(
    tmp_path: Path, transport: str
) -> None:
    with serving() as server:
        expected: list[int | None] = [None]
        for kill in range(1, KILLS + 1):
            process = start(tmp_path, transport, server, ("big",))
            time.sleep(0.1)
            wait_for_more(tmp_path, (kill * 12_000_000) // (KILLS + 2), process)
            process.kill()
            process.communicate()
            sizes = [path.stat().st_size for path in tmp_path.glob(".*.part")]
            assert len(sizes) == 1
            expected.append(sizes[0])
        process = start(tmp_path, transport, server, ("big",))
        process.communicate(timeout=60)
        with urllib.request.urlopen(f"{server}/_log") as answer:
            log = json.load(answer)
    assert [start for _, start, _ in log] == expected
    assert (tmp_path / "big").read_bytes() == FILES["big"]
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_no_segment_is_fetched_again_that_the_journal_has(tmp_path: Path, transport: str) -> None:
    asked = 0
    missing = [(0, LARGE)]
    with serving() as server:
        for kill in range(1, KILLS + 1):
            process = start(tmp_path, transport, server, ("in_segments",), 4)
            wait_for_segments(tmp_path, kill * LARGE // (KILLS + 2), process)
            process.kill()
            process.communicate()
            asked = check_asked(server, asked, missing)
            missing = ByteRanges(received_in(tmp_path)).gaps(LARGE)
        process = start(tmp_path, transport, server, ("in_segments",), 4)
        process.communicate(timeout=60)
        check_asked(server, asked, missing)
    assert (tmp_path / "in_segments").read_bytes() == FILES["in_segments"]
    assert not list(tmp_path.glob(".*.part"))


def received_in(folder: Path) -> tuple[tuple[int, int], ...]:
    """Return what the journal has of the file that is fetched in segments."""
    history = History()
    for line in (folder / JOURNAL_NAME).read_bytes().splitlines():
        history.take(line)
    return history.received(history.parts["in_segments"].part)


def wait_for_segments(folder: Path, size: int, process: subprocess.Popen[str]) -> None:
    """Wait until the journal has so many bytes."""
    while process.poll() is None:
        with suppress(FileNotFoundError, KeyError):
            if ByteRanges(received_in(folder)).size >= size:
                return
        time.sleep(0.005)
    raise AssertionError("it ended before it was killed")


def check_asked(server: str, already: int, missing: list[tuple[int, int]]) -> int:
    """Check that only missing bytes were asked for, and return how many requests there were."""
    with urllib.request.urlopen(f"{server}/_log") as answer:
        log = json.load(answer)
    for _, begin, span in log[already:]:
        if span is None:  # the first request of a run goes on to the end, if it is let
            assert (begin or 0) == missing[0][0]
        else:
            assert any(low <= span[0] and span[1] <= high for low, high in missing), (span, missing)
    assert any(span for _, _, span in log[already:])
    return len(log)


def wait_for_more(folder: Path, size: int, process: subprocess.Popen[str]) -> None:
    """Wait until a part has so many bytes."""
    while process.poll() is None:
        if any(path.stat().st_size >= size for path in folder.glob(".*.part")):
            return
        time.sleep(0.005)
    raise AssertionError("it ended before it was killed")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_server_that_goes_away_for_a_while_is_waited_for(
    tmp_path: Path, transport: str
) -> None:
    with serving() as server:
        port = int(server.rpartition(":")[2])
    patient = FetchOptions(attempts=40, backoff=0.5, transport=options(transport).transport)
    fetching = asyncio.ensure_future(
        fetch([f"{server}/whole", f"{server}/chunked"], tmp_path, options=patient)
    )
    await asyncio.sleep(1)
    assert not fetching.done()
    with serving(port):
        report = await fetching
    assert report.ok == 2


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_planted_links_and_folders_are_neither_followed_nor_replaced(
    tmp_path: Path, transport: str
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "whole").symlink_to(outside)
    (folder / "chunked").mkdir()
    (folder / "big").symlink_to(tmp_path / "dangling")
    with serving() as server:
        urls = [f"{server}/{name}" for name in ("whole", "chunked", "big")]
        report = await fetch(urls, folder, options=options(transport))
    assert report.failed == 3
    assert outside.read_bytes() == b"mine"
    assert sorted(os.listdir(tmp_path)) == ["folder", "outside"]


async def test_what_is_larger_than_the_disk_is_refused_before_it_comes(tmp_path: Path) -> None:
    with serving() as server:
        report = await fetch([f"{server}/larger_than_the_disk"], tmp_path)
    (result,) = report.results
    assert result.error is not None
    assert "no space for" in result.error.reason
    assert result.attempts == 1


def test_what_has_changed_is_as_long_as_before() -> None:
    assert len(changed("x")) == len(content("x"))
