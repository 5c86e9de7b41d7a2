"""Leases in a folder: between tasks and processes of one machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from withal.lease import (
    FileLeases,
    LeaseLostError,
    LeaseServerError,
    LeaseTimeoutError,
)
from withal.lease.files import _load


@contextmanager
def another_process(folder: Path, ttl: float = 1) -> Generator[subprocess.Popen[str]]:
    """Have another process hold the lease, without end."""
    program = f"""
        import asyncio
        from withal.lease import FileLeases
        async def main():
            async with FileLeases({str(folder)!r}).hold("a", ttl={ttl}) as lease:
                print(lease.token, flush=True)
                await asyncio.sleep(60)
        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as it:
        try:
            yield it
        finally:
            it.kill()


def token_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


async def test_one_holds_it_and_the_other_waits(tmp_path: Path) -> None:
    leases = FileLeases(tmp_path / "made")
    order = []

    async def hold(number: int) -> None:
        async with leases.hold("a") as lease:
            order.append((number, lease.token))
            await asyncio.sleep(0.01)

    async with leases.hold("a") as first:
        waiters = []
        for number in range(3):
            waiters.append(asyncio.create_task(hold(number)))
            await asyncio.sleep(0.1)
        assert not order
    await asyncio.gather(*waiters)
    assert [number for number, _ in order] == [0, 1, 2]
    tokens = [first.token, *(token for _, token in order)]
    assert tokens == sorted(set(tokens))


@pytest.mark.slow
async def test_a_killed_process_holds_it_until_its_ttl(tmp_path: Path) -> None:
    leases = FileLeases(tmp_path)
    with another_process(tmp_path) as process:
        first = token_of(process)
        with pytest.raises(LeaseTimeoutError, match=f"held by process {process.pid}"):
            async with leases.hold("a", timeout=0):
                pass
        process.kill()
        async with leases.hold("a", timeout=10) as lease:
            assert lease.token > first


@pytest.mark.slow
async def test_a_stopped_process_loses_it_and_says_so(tmp_path: Path) -> None:
    leases = FileLeases(tmp_path)
    with another_process(tmp_path) as process:
        first = token_of(process)
        process.send_signal(signal.SIGSTOP)
        async with leases.hold("a", timeout=10) as lease:
            assert lease.token > first
            process.send_signal(signal.SIGCONT)
            _, errors = await asyncio.to_thread(process.communicate, timeout=60)
        assert "LeaseLostError" in errors
        assert "the process was stopped" in errors


async def test_the_token_outlives_the_folder(tmp_path: Path) -> None:
    leases = FileLeases(tmp_path)
    tokens = []
    for _ in range(3):
        async with leases.hold("a") as lease:
            tokens.append(lease.token)
        for path in tmp_path.iterdir():
            path.unlink()
    assert tokens == sorted(set(tokens))


async def test_the_token_outlives_a_clock_that_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = FileLeases(tmp_path)
    async with leases.hold("a") as first:
        monkeypatch.setattr("time.time_ns", lambda: 0)
    async with leases.hold("a") as second:
        assert second.token == first.token + 1


async def test_a_clock_that_jumps_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = FileLeases(tmp_path)
    async with leases.hold("a", ttl=1) as lease:
        monkeypatch.setattr("time.time", lambda: 4e9)
        monkeypatch.setattr("time.time_ns", lambda: 4 * 10**18)
        lease.check()
        (holder,) = await leases.holders()
        assert holder.expires_in <= 1


def rewritten(path: Path, boot: str, host: str | None = None) -> None:
    content = json.loads(path.read_text())
    content[0] = boot
    content[1] = content[1] if host is None else host
    path.write_text(json.dumps(content))


async def test_a_restart_of_the_machine_voids_all_but_the_token(tmp_path: Path) -> None:
    leases = FileLeases(tmp_path)
    with pytest.raises(LeaseLostError, match="does not have it"):
        async with leases.hold("a", ttl=1) as first:
            rewritten(tmp_path / "a.json", "another boot")
            await asyncio.sleep(5)
    async with leases.hold("a", timeout=0) as second:
        assert second.token > first.token


async def test_a_folder_of_another_machine_is_refused(tmp_path: Path) -> None:
    leases = FileLeases(tmp_path)
    async with leases.hold("a"):
        pass
    rewritten(tmp_path / "a.json", "another boot", "far-away")
    with pytest.raises(LeaseServerError, match="another machine, 'far-away'"):
        async with leases.hold("a"):
            pass
    with pytest.raises(LeaseServerError, match="another machine"):
        await leases.holders()


@pytest.mark.parametrize("text", ["", "[]", "{}", "[1, 2]", "null", '["", "", 1, "", 0, 0, "", 3]'])
async def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(LeaseServerError, match=r"a\.json is damaged"):
        async with FileLeases(tmp_path).hold("a"):
            pass


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    leases = FileLeases(tmp_path / "file" / "folder")
    with pytest.raises(LeaseServerError, match=r"Not a directory.* use a folder") as caught:
        async with leases.hold("a"):
            pass
    assert isinstance(caught.value.__cause__, OSError)
    assert await FileLeases(tmp_path / "missing").holders() == ()


@pytest.mark.parametrize("name", ["..", "/", "a/b", "\0", "ü" * 300, "\ud800", "{a}:*?"])
async def test_names_with_any_character(tmp_path: Path, name: str) -> None:
    leases = FileLeases(tmp_path)
    async with leases.hold(name):
        assert [each.name for each in await leases.holders()] == [name]
    assert all(path.parent == tmp_path for path in tmp_path.rglob("*"))


async def test_nothing_but_two_files_a_name_is_left(tmp_path: Path) -> None:
    async with FileLeases(tmp_path) as leases, leases.hold("a"):
        pass
    assert sorted(os.listdir(tmp_path)) == ["a.json", "a.lock"]
    row = _load(tmp_path / "a.json")
    assert (row.id, row.owner, row.places) == ("", "", ())
