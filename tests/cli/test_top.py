"""``withal top``, ``withal track --serve`` and ``--live``: what a running program has open."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from withal.tracking import probe, serving
from withal.tracking.attaching import AttachingError, request_snapshot

pytestmark = pytest.mark.slow

WITHAL = [sys.executable, "-m", "withal"]

WAITS = """\
import asyncio

lock = asyncio.Lock()

async def worker():
    async with lock:
        await asyncio.sleep(1000)

async def main():
    kept = open(__file__)
    first = asyncio.create_task(worker(), name="first")
    await asyncio.sleep(0)
    second = asyncio.create_task(worker(), name="second")
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(lambda: print("ready", flush=True))
    await asyncio.gather(first, second)

asyncio.run(main())
"""


@contextmanager
def running(command: list[str], folder: Path, **environment: str) -> Generator[int]:
    """Run a program until it has printed a line; yield its process, and end it."""
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=os.environ | environment,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.kill()


@pytest.fixture
def served(tmp_path: Path) -> Generator[int]:
    (tmp_path / "program.py").write_text(WAITS)
    with running([*WITHAL, "track", "--serve", "program.py"], tmp_path) as pid:
        yield pid


def top(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WITHAL, "top", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"COLUMNS": "200"},
    )


def test_it_shows_open_resources_their_holders_and_waiting_tasks(served: int) -> None:
    data = request_snapshot(served)
    assert data["tracked"]
    rows = {row["kind"]: row for row in data["open"]}
    assert (rows["file"]["site"], rows["file"]["task"]) == ("program.py:10", "Task-1")
    assert (rows["lock"]["site"], rows["lock"]["task"]) == ("program.py:6", "first")
    tasks = {task["name"]: task for task in data["tasks"]}
    assert tasks["Task-1"]["waits_for"] == "gather of 2"
    assert (tasks["first"]["waits_for"], tasks["first"]["made_at"]) == ("sleep", "program.py:11")
    assert tasks["second"]["waits_for"] == "lock of program.py:6, held by first"
    assert tasks["second"]["site"] == "program.py:6 in worker"


def test_without_a_terminal_the_command_prints_once(served: int) -> None:
    done = top(served)
    assert done.returncode == 0, done.stderr
    assert re.search(r"file +TextIOWrapper +program.py:10 in main +Task-1", done.stdout)
    assert re.search(r"second +worker +lock of program.py:6, held by first", done.stdout)
    assert json.loads(top("--json", served).stdout)["pid"] == served


def test_only_its_owner_can_open_the_socket(served: int) -> None:
    (path,) = [path for folder in serving.folders() if (path := folder / f"{served}.sock").exists()]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert serving.is_private(path.parent)


def test_a_folder_that_others_can_open_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "withal").mkdir(mode=0o755)
    (tmp_path / "program.py").write_text("print('started')")
    command = [*WITHAL, "track", "--serve", "program.py"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "other users can access" in done.stderr
    assert "started" not in done.stdout


def test_the_socket_of_another_process_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = tmp_path / "withal"
    folder.mkdir(mode=0o700)
    with subprocess.Popen(["sleep", "60"]) as other:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / f"{other.pid}.sock"))
            listener.listen()
            with pytest.raises(
                AttachingError, match=r"was not started by|not a program of CPython"
            ):
                request_snapshot(other.pid)
        other.kill()


def test_what_cannot_be_looked_at_is_said_in_one_line() -> None:
    done = top(2**22 + 1)
    assert (done.returncode, done.stderr) == (1, f"withal: there is no process {2**22 + 1}\n")
    assert top("one").returncode == 2
    with subprocess.Popen(["sleep", "60"]) as process:
        done = top(process.pid)
        process.kill()
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "withal track --serve" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start what is another's")
def test_a_process_of_another_user_is_refused() -> None:
    with subprocess.Popen(["sleep", "60"], user="nobody") as process:
        with pytest.raises(AttachingError, match="belongs to nobody; only its owner can look"):
            request_snapshot(process.pid)
        process.kill()


def test_a_stopped_process_is_waited_for_only_so_long(
    served: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("withal.tracking.attaching.ANSWER_SECONDS", 0.2)
    os.kill(served, signal.SIGSTOP)
    try:
        with pytest.raises(AttachingError, match=r"has not answered for 0.2 s; it may be stopped"):
            request_snapshot(served)
    finally:
        os.kill(served, signal.SIGCONT)


async def test_a_probe_lists_what_is_open_without_a_tracker() -> None:
    kept: list[Any] = [socket.socket(), open(__file__)]  # noqa: SIM115
    try:
        found = probe.look()
    finally:
        for each in kept:
            each.close()
    assert {"file", "socket"} <= {row["kind"] for row in found["open"]}
    assert found["tasks"][0]["state"] == "runs"
    assert any(text == __file__ for _, text in found["descriptors"])


@pytest.mark.skipif(sys.version_info < (3, 14), reason="needs sys.remote_exec")
@pytest.mark.parametrize("is_tracked", [False, True])
def test_any_program_can_be_looked_at_from_3_14_on(is_tracked: bool, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(WAITS)
    command = [*WITHAL, "track"] if is_tracked else [sys.executable]
    with running([*command, "program.py"], tmp_path) as pid:
        for _ in range(2):
            data = request_snapshot(pid)
            assert data["tracked"] is is_tracked
            assert {task["name"] for task in data["tasks"]} == {"Task-1", "first", "second"}
            assert "file" in {row["kind"] for row in data["open"]}


@pytest.mark.skipif(sys.version_info < (3, 14), reason="needs sys.remote_exec")
def test_remote_debugging_that_is_off_is_said(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(WAITS)
    command = [sys.executable, "program.py"]
    with (
        running(command, tmp_path, PYTHON_DISABLE_REMOTE_DEBUG="1") as pid,
        pytest.raises(AttachingError, match="remote debugging is off"),
    ):
        request_snapshot(pid)


def test_in_the_live_view_the_output_of_the_program_stays_readable(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import sys, time\n"
        "kept = open(__file__)\n"
        "print(sys.stdout.isatty(), sys.stderr.isatty(), flush=True)\n"
        "for number in range(3):\n"
        "    sys.stdout.write(f'part {number}')\n"
        "    sys.stdout.flush()\n"
        "    time.sleep(1)\n"
        "    print(' whole', flush=True)\n"
        "sys.exit(5)\n"
    )
    command = [*WITHAL, "track", "-q", "--live", "program.py"]
    status, screen = in_a_terminal(command, tmp_path)
    assert status == 5
    # The view also shows an incomplete line, which may be read alone.
    found = dict.fromkeys(re.findall(r"^part \d whole", screen, re.MULTILINE))
    assert list(found) == [f"part {number} whole" for number in range(3)]
    assert "True True" in screen
    assert re.search(r"file +TextIOWrapper +program.py:2 in <module>", screen)


def test_the_live_view_needs_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("print('started')")
    command = [*WITHAL, "track", "--live", "program.py"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "--live needs a terminal on standard error" in done.stderr


def in_a_terminal(command: list[str], folder: Path) -> tuple[int, str]:
    """Run a command in a terminal; return its status and what was written, without the colours."""
    terminal, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
    with subprocess.Popen(
        command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        written = b""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                data = os.read(terminal, 1 << 16)
            except OSError:  # it is closed
                break
            written += data
    os.close(terminal)
    text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", written).replace(b"\r", b"\n")
    return process.returncode, text.decode()
