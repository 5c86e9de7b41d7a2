"""What the corpus starts ends, and what the machine lacks is told."""

from __future__ import annotations

import os
import select
from pathlib import Path

import pytest
from corpus.running import servers
from corpus.running.audits import Outcome
from corpus.running.child import Command, run
from corpus.running.environments import environment
from corpus.running.failures import MissingError
from corpus.running.shown import line_of
from corpus.table import Case, Service

from withal import Scope
from withal.audit import Category, Verdict

CASE = Case("x.py:scenario", ("x==1",), finds=(Category.SLOT,))


async def test_a_command_ends_with_a_status_and_a_last_line() -> None:
    ended = await run(Command(("sh", "-c", "echo one; echo two >&2; exit 3")), timeout=30)
    assert (ended.status, ended.last_line) == (3, "two")


@pytest.mark.slow
async def test_nothing_is_left_of_a_command_whose_time_is_over(tmp_path: Path) -> None:
    told = tmp_path / "told"
    ended = await run(Command(("sh", "-c", f"sleep 60 & echo $! > {told}; wait")), timeout=1)
    assert ended.status is None
    assert has_ended(int(told.read_text()))


def has_ended(pid: int) -> bool:
    """Tell whether a process ends, for which a kill may take a moment."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 10)[0])
    finally:
        os.close(process)


@pytest.mark.parametrize("service", Service)
async def test_a_server_that_is_not_there_is_missing(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(servers, "_POSTGRESQL", tmp_path)
    async with Scope("test") as scope:
        with pytest.raises(MissingError, match="is not on this machine; try apt-get install"):
            await scope.open(servers.SERVERS[service])


async def test_an_interpreter_that_is_not_there_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match=r"there is no python3\.99 on this machine"):
        await environment(Case("x.py:scenario", python="3.99"))


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (Outcome(CASE, Verdict.SAFE, seconds=0.24), "x 1, x: [red]safe[/] (0.2 s)"),
        (Outcome(CASE, Verdict.UNSAFE, (Category.SLOT,)), "x 1, x: [green]lock or slot[/]"),
        (Outcome(CASE, Verdict.ERROR, note="[1]"), r"x 1, x: [red]error: [1][/]"),
        (Outcome(CASE, note="no redis", skipped=True), "x 1, x: [yellow]skipped: no redis[/]"),
        (Outcome(CASE, note="exit status 2: no"), "x 1, x: [red]no verdict: exit status 2: no[/]"),
    ],
)
def test_a_line_states_what_was_found(outcome: Outcome, line: str) -> None:
    assert line_of(outcome) == line
