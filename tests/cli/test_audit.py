"""``withal audit``: what it prints and writes, and the status that it exits with."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import done, running
from withal.audit import Delivery
from withal.cli.audit import AuditOptions, audit_command
from withal.cli.choices import Format, Loop

pytestmark = pytest.mark.slow

HERE = str(Path(__file__).with_name("audited.py"))
BOTH = (Delivery.EARLY, Delivery.LATE)


def audited(name: str, **options: Any) -> int:
    return audit_command(f"{HERE}:{name}", AuditOptions(**options))


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("Careful", 0, "safe: Careful: no finding in 4 attempts"),
        ("Careless", 1, "  task  task Event.wait still waits at "),
        ("never_suspends", 3, "it never suspends"),
        ("fail", 4, r"ValueError: no\x1bdatabase at "),
    ],
)
def test_the_status_is_the_verdict(
    name: str, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited(name) == status
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Carefull", "has no 'Carefull'; did you mean Careful"),
        ("Careless.nothing", "has no 'Careless.nothing'"),
        ("NUMBER", "must be a callable that returns an awaitable; got 5"),
        ("needs", "is called with no argument: missing a required argument: 'database'"),
    ],
)
def test_an_error_of_the_target_is_one_line(
    name: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited(name) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("withal: ")
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("at", ["3", "0:early", "3:soon", ":late", "3+:late", "9:late"])
def test_an_address_that_is_none_is_refused(at: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert audited("Careful", at=at) == 2
    assert "suspension" in capsys.readouterr().err


def test_a_scenario_brings_its_probe_and_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert audited("scenario") == 0
    assert capsys.readouterr().out.startswith("safe: a rest: ")


def test_one_attempt_is_replayed_with_its_stack(capsys: pytest.CaptureFixture[str]) -> None:
    assert audited("Careless", at="1:late") == 1
    out = capsys.readouterr().out
    assert "Careless at 1:late" in out
    assert "await asyncio.sleep(0)" in out
    assert "the task was not suspended again" in out


def test_the_list_shows_where_it_suspends_and_cancels_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert audited("Careless", only_list=True) == 0
    out = capsys.readouterr().out
    assert "suspensions" in out
    assert "in Careless.__aenter__" in out


def test_a_second_cancellation_is_addressed_by_how_much_later_it_comes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert audited("scenario", depth=2) == 0
    assert audited("Careless", at="1+1:late") == 2
    assert "after 1:late the task is suspended 0 times" in capsys.readouterr().err


def test_a_report_is_written_into_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited("Careless", form=Format.JSON, output=tmp_path / "report.json") == 1
    assert capsys.readouterr().out == ""
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["verdict"] == "unsafe"
    assert report["target"] == f"{HERE}:Careless"


def test_a_report_file_that_cannot_be_written_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited("scenario", output=tmp_path / "none" / "report") == 2
    assert "its folder does not exist" in capsys.readouterr().err
    assert audited("scenario", output=tmp_path) == 2
    assert "is a folder; name a file" in capsys.readouterr().err


def test_a_list_makes_no_attempt(capsys: pytest.CaptureFixture[str]) -> None:
    assert audited("Careless", only_list=True, at="1:late") == 2
    assert "use only one of them" in capsys.readouterr().err


def test_a_replay_has_as_much_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert audited("Careless", timeout=30) == 1
    assert f"withal audit {HERE}:Careless --at 1:early --timeout 30" in capsys.readouterr().out


@pytest.mark.parametrize("form", Format)
def test_every_form_has_the_verdict(form: Format, capsys: pytest.CaptureFixture[str]) -> None:
    assert audited("Careless", form=form) == 1
    assert "Careless" in capsys.readouterr().out


def test_a_form_for_ci_systems_counts_the_attempts(capsys: pytest.CaptureFixture[str]) -> None:
    assert audited("Careless", form=Format.JUNIT) == 1
    suite = ET.fromstring(capsys.readouterr().out).find("testsuite")  # our own
    assert suite is not None
    assert int(suite.attrib["failures"]) > 0


def test_on_uvloop_the_replay_is_on_uvloop_too(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("uvloop")
    assert audited("Careless", loop=Loop.UVLOOP) == 1
    assert "--at 1:early --loop uvloop" in capsys.readouterr().out


@pytest.mark.slow
def test_it_ends_although_an_attempt_has_left_a_thread_that_does_not() -> None:
    ended = done("audit", f"{HERE}:leave_a_thread")
    assert ended.status == 1
    assert any("thread 'stuck' still runs" in line for line in ended.out)
    assert len(ended.err) == 1
    assert "without waiting for the thread 'stuck'" in ended.err[0]
    assert "in leave_a_thread" in ended.err[0]


@pytest.mark.slow
def test_an_interrupt_is_reported_in_one_line() -> None:
    ended = done("audit", f"{HERE}:be_interrupted")
    assert (ended.status, ended.out) == (130, [])
    assert ended.err == ["withal: stopped by SIGINT; all open resources were closed"]


@pytest.mark.slow
def test_a_terminal_gets_a_bar_and_a_pipe_none() -> None:
    main, terminal = pty.openpty()
    with running("audit", f"{HERE}:Careful", stderr=terminal) as process:
        os.close(terminal)
        seen = b""
        try:
            while chunk := os.read(main, 65536):
                seen += chunk
        except OSError:  # what Linux says when the other end is closed
            pass
        assert process.wait() == 0
        os.close(main)
    assert b"attempts" in seen
    assert b"4/4" in seen
    assert done("audit", f"{HERE}:Careful").err == []


@pytest.mark.slow
def test_wrong_arguments_are_refused_with_the_choices() -> None:
    ended = done("audit", f"{HERE}:Careful", "--delivery", "soon")
    assert ended.status == 2
    assert any("'early', 'late', 'anyio'" in line for line in ended.err)
    assert done("audit", f"{HERE}:Careful", "--depth", "0").status == 2


PROGRAM = "printed by the program", "logged by the program", "written by a child"


def test_the_output_of_the_program_is_not_in_the_report() -> None:
    result = done("audit", f"{HERE}:prints_and_logs", "--format", "json")
    report = "\n".join(result.out)
    assert json.loads(report)["scenario"] == "prints_and_logs"
    said = report + "\n".join(result.err)
    assert not [each for each in (*PROGRAM, "Unknown child process") if each in said]


def test_one_attempt_made_again_shows_the_output_of_the_program() -> None:
    at = "2:late"
    result = done("audit", f"{HERE}:prints_and_logs", "--at", at, "--format", "json")
    json.loads("\n".join(result.out))
    said = "\n".join(result.err)
    assert all(each in said for each in PROGRAM[:2])  # the child may be cancelled before


@pytest.mark.parametrize("at", [None, "1:late"])
@pytest.mark.parametrize(
    "name", ["closes_its_streams", "closes_descriptors", "replaces_its_streams"]
)
def test_a_program_that_loses_its_streams_has_its_report(name: str, at: str | None) -> None:
    result = done("audit", f"{HERE}:{name}", *(() if at is None else ("--at", at)))
    assert (result.status, result.err) == (0, [])
    assert any(name in line for line in result.out)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_command_that_is_started_without_streams_has_its_status(closed: str) -> None:
    command = f"{sys.executable} -m withal audit {HERE}:Careful {closed}"
    assert subprocess.run(command, shell=True, check=False).returncode == 0


def test_tasks_that_only_a_loop_cancels_are_cancelled_if_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert audited("keeps_a_task") == 0
    assert audited("keeps_a_task", children=True) == 1
    out = capsys.readouterr().out
    assert "(cancelled in the task Kept.beat) (3 of 3) [" in out
    assert audited("keeps_a_task", children=True, only_list=True) == 0
    assert "in the task Kept.beat" in capsys.readouterr().out


def test_known_findings_are_accepted_and_those_gone_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = tmp_path / "known"
    assert audited("Careless", accept=known) == 2
    assert "there is no file" in capsys.readouterr().err
    assert audited("Careless", accept_new=True) == 2
    assert "pass both" in capsys.readouterr().err
    assert audited("Careless", accept=known, accept_new=True) == 0
    assert audited("Careless", accept=known) == 0
    assert capsys.readouterr().err == ""
    lines = known.read_text().replace(":Careless", ":Careful")
    known.write_text(lines)
    assert audited("Careful", accept=known) == 0
    assert "accepts findings that do not occur any more; delete: " in capsys.readouterr().err


@pytest.mark.parametrize("form", [Format.SCRIPT, Format.PYTEST])
def test_a_finding_is_written_as_a_program(
    form: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited("Careless", form=form) == 1
    assert "It was run 3 times, and showed this each time." in capsys.readouterr().out
    assert audited("Careless", form=form, only_list=True) == 2
    assert "--list has no finding" in capsys.readouterr().err


def handles(pid: int, number: signal.Signals) -> bool:
    """Return whether a process has a handler for a signal by now."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (number - 1) & 1)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_ends_it_with_a_report(name: str, status: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "withal", "audit", f"{HERE}:takes_long", "--max-time", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 30
    while not handles(process.pid, signal.SIGTERM) and time.monotonic() < until:
        time.sleep(0.05)  # it handles both from the same moment on
    time.sleep(2)  # for some attempts
    process.send_signal(signal.Signals[name])
    out, err = process.communicate(timeout=30)
    assert process.returncode == status
    assert out.startswith("unresolved: takes_long: ")
    assert "stopped early, after " in out
    assert err == f"withal: stopped by {name}; the report covers the attempts so far\n"


@pytest.mark.slow
def test_its_time_ends_it_with_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert audited("takes_long", max_time=2.0) == 3
    assert "its time of 2 s is over" in capsys.readouterr().out
