"""A picture of what a process holds, and what it holds more than before."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from withal import inspection


async def wait_without_end() -> None:
    await asyncio.Event().wait()


async def test_nothing_is_added_where_nothing_was_opened() -> None:
    before = inspection.take()
    added = inspection.take().since(before)
    assert not added
    assert str(added) == "nothing"


async def test_a_task_is_shown_with_the_place_where_it_waits() -> None:
    before = inspection.take()
    task = asyncio.create_task(wait_without_end(), name="heartbeat")
    await asyncio.sleep(0)
    (found,) = inspection.take().since(before).tasks
    assert found.name == "heartbeat"
    assert found.coroutine == "wait_without_end"
    assert found.waits_at.startswith(f"{__file__}:")
    assert found.waits_at.endswith(" in wait_without_end")
    assert found.stack[-1].endswith(" in wait")
    task.cancel()


async def test_the_task_that_looks_is_left_out() -> None:
    assert asyncio.current_task() is not None
    assert inspection.take().tasks == ()


async def test_the_place_where_a_task_was_created_is_shown_if_it_was_noted() -> None:
    tracemalloc.start()
    try:
        task = asyncio.create_task(wait_without_end())
        (found,) = inspection.take().tasks
    finally:
        tracemalloc.stop()
    assert found.created_at
    task.cancel()


async def test_a_file_a_pipe_and_a_socket_are_distinguished(tmp_path: Path) -> None:
    before = inspection.take()
    reading, writing = os.pipe()
    path = tmp_path / "notes.txt"
    with path.open("w"):
        added = inspection.take().since(before).descriptors
        os.close(reading)
        os.close(writing)
    kinds = sorted(each.kind for each in added)
    assert kinds == ["file", "pipe", "pipe"]
    (file,) = (each for each in added if each.kind == "file")
    assert file.target == str(path)


def test_a_temporary_file_is_marked() -> None:
    before = inspection.take()
    with tempfile.NamedTemporaryFile() as file:
        (found,) = inspection.take().since(before).descriptors
        assert found.number == file.fileno()
        assert found.is_temporary


async def test_a_server_and_both_ends_of_a_connection_are_shown(loop_name: str) -> None:
    before = inspection.take()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    _, writer = await asyncio.open_connection(host, port)
    while len(inspection.take().since(before).descriptors) < 3:
        await asyncio.sleep(0)
    added = inspection.take().since(before)
    sockets = [each.socket for each in added.descriptors if each.socket is not None]
    assert [each.local for each in sockets if each.is_listening] == [f"{host}:{port}"]
    assert [each.local for each in sockets if each.remote == f"{host}:{port}"]
    if loop_name == "asyncio":
        assert [each.addresses for each in added.servers] == [(f"{host}:{port}",)]
        assert {each.kind for each in added.transports} == {"SelectorSocketTransport"}
        assert len(added.transports) == 2
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


async def test_a_timer_is_shown_until_it_is_cancelled(loop_name: str) -> None:
    if loop_name == "uvloop":
        pytest.skip("uvloop shows no timers")
    before = inspection.take()
    handle = asyncio.get_running_loop().call_later(60, print)
    (timer,) = inspection.take().since(before).timers
    assert timer.callback == "print"
    assert 59 < timer.seconds_left <= 60
    handle.cancel()
    assert not inspection.take().since(before).timers


@pytest.fixture
def busy_thread() -> Iterator[threading.Thread]:
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="busy", daemon=True)
    thread.start()
    yield thread
    end.set()
    thread.join()


@pytest.mark.usefixtures("busy_thread")
def test_a_thread_is_shown_with_the_place_where_it_is() -> None:
    (found,) = (each for each in inspection.take().threads if each.name == "busy")
    assert found.is_daemon
    assert not found.is_pooled
    assert not found.is_idle
    assert "threading.py" in found.runs_at


def test_an_idle_thread_of_an_executor_is_marked() -> None:
    before = inspection.take()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(int).result()
        while not (found := inspection.take().since(before).threads)[0].is_idle:
            threading.Event().wait(0.001)
        assert len(found) == 1


def test_a_child_process_is_shown_with_its_command_and_as_a_zombie() -> None:
    before = inspection.take()
    child = subprocess.Popen(["sleep", "60"])
    (found,) = inspection.take().since(before).processes
    assert found.pid == child.pid
    assert found.command in {"sleep 60", ""} or "python" in found.command
    child.kill()
    while not (found := inspection.take().since(before).processes[0]).has_ended:
        threading.Event().wait(0.001)
    assert "was not waited for" in str(found)
    child.wait()


def test_a_temporary_folder_is_shown_until_it_is_removed() -> None:
    before = inspection.take()
    with tempfile.TemporaryDirectory() as name:
        assert inspection.take().since(before).temporary_folders == (name,)
    assert not inspection.take().since(before).temporary_folders


def test_it_prints_as_a_list_by_kind() -> None:
    before = inspection.take()
    with tempfile.TemporaryDirectory() as name:
        text = str(inspection.take().since(before))
    assert text == f"temporary folders (1)\n  {name}"


def test_without_a_loop_there_is_nothing_of_a_loop() -> None:
    picture = inspection.take()
    of_a_loop = picture.tasks, picture.transports, picture.servers, picture.timers
    assert of_a_loop == ((), (), (), ())
