"""Fetching on a Ray cluster: two nodes on this machine, of which one dies."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from withal.fetch import on_ray
from withal.fetch.cluster import cluster
from withal.fetch.cluster.shard import Marker

COUNT = int(os.environ.get("WITHAL_RAY_URLS", "600"))
ROOT = Path(__file__).parents[2]
SECONDS = 300 + COUNT / 20
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


def run(command: list[str], environment: dict[str, str], seconds: float) -> tuple[int, str, str]:
    """Run a program in a session of its own; at the end kill what it has left there.

    Ray's processes outlive a program that is killed, and keep its output open.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        kill_session(process.pid)
        output, errors = process.communicate(timeout=30)
        errors += f"\nthe program was killed after {seconds:g} s; its output: {output}"
    finally:
        kill_session(process.pid)
        process.kill()
        process.wait(30)
    return process.returncode, output, errors


def kill_session(session: int) -> None:
    command = ["pkill", "--signal", "KILL", "--session", str(session)]
    subprocess.run(command, check=False, timeout=30)


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(SECONDS)
def test_a_worker_and_a_node_die_and_every_file_is_right(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fetch.ray_program", str(tmp_path), str(COUNT)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    status, output, errors = run(command, environment, seconds=SECONDS - 60)
    assert status == 0, errors[-3000:]
    found = json.loads(output.splitlines()[-1])
    assert (found["got"], found["wrong"], found["errors"]) == (COUNT, [], [])
    assert found["killed"] == {"worker": True, "node": True}
    assert found["repeated"] <= 16  # what was under way when a worker or the node was killed
    assert found["skipped_again"] == COUNT
    assert found["requested_again"] == 0
    assert found["lines"] == COUNT
    assert found["most_at_a_time"] <= 8 + 16  # what a dead worker asked for may still be answered


@needs_ray
async def test_an_address_that_does_not_answer_is_said_within_seconds(tmp_path: Path) -> None:
    for address in "127.0.0.1:9", "ray://127.0.0.1:9":
        with pytest.raises(ConnectionError, match="no Ray cluster answers at"):
            async for _ in on_ray(["http://127.0.0.1:9/"], tmp_path, address=address):
                pass


@needs_ray
@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", None])
async def test_a_server_that_is_not_rays_is_reported(
    answer: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 0.1 if answer is None else 30)

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is not None:
            writer.write(answer)
            writer.close()
        else:
            await asyncio.sleep(0.2)
            writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        reason = "no answer within 0.1 s" if answer is None else "(a server that is not|Connection)"
        with pytest.raises(ConnectionError, match=f"no Ray cluster answers at .*{reason}"):
            async for _ in on_ray(["http://127.0.0.1:9/"], tmp_path, address=f"127.0.0.1:{port}"):
                pass
        await asyncio.sleep(0.2)


async def test_a_shard_size_of_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shard_size must be 1 or more requests, not 0"):
        async for _ in on_ray([], tmp_path, shard_size=0):
            pass


async def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r'pip install "withal\[ray\]"'):
        async for _ in on_ray([], tmp_path):
            pass


def test_a_folder_that_workers_do_not_share_is_said(tmp_path: Path) -> None:
    marker = Marker.new(tmp_path / "out")
    marker.check()
    for other in Marker(tmp_path, marker.content), Marker(tmp_path / "out", "of another run"):
        with pytest.raises(FileNotFoundError, match="all nodes share"):
            other.check()
