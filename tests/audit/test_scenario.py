"""What belongs to the environment is neither cancelled nor residue while that is open."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import threading
from asyncio import Future, Queue, StreamReader, StreamWriter, Task
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from withal.audit import Category, Scenario, Verdict, audit


@asynccontextmanager
async def consumer() -> AsyncGenerator[Queue[int]]:
    queue: Queue[int] = Queue()
    task = asyncio.create_task(queue.get())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.wait({task})


async def produce(queue: Queue[int]) -> None:
    await asyncio.sleep(0.001)
    queue.put_nowait(1)


def test_a_task_of_the_setup_that_still_waits_is_no_residue() -> None:
    audit(produce, setup=consumer).check()


@pytest.mark.slow
def test_a_task_of_the_setup_that_outlives_the_setup_is_residue() -> None:
    tasks = list[Task[int]]()

    @asynccontextmanager
    async def careless() -> AsyncGenerator[Queue[int]]:
        queue: Queue[int] = Queue()
        tasks.append(asyncio.create_task(queue.get()))
        yield queue

    report = audit(produce, setup=careless, deliveries="early")
    tasks.clear()
    assert {each.category for each in report.findings} == {Category.TASK}


class Client:
    """Starts a task of its own at the first call, and keeps it until it is closed."""

    def __init__(self) -> None:
        self.task: Task[None] | None = None
        self.asked: Queue[Future[int]] = Queue()

    async def call(self) -> int:
        if self.task is None:
            self.task = asyncio.create_task(self.work())
        answer: Future[int] = asyncio.get_running_loop().create_future()
        self.asked.put_nowait(answer)
        return await answer

    async def work(self) -> None:
        while True:
            answer = await self.asked.get()
            if not answer.done():
                answer.set_result(1)

    async def close(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait({self.task})


@asynccontextmanager
async def a_client() -> AsyncGenerator[Client]:
    client = Client()
    try:
        yield client
    finally:
        await client.close()


async def call(client: Client) -> None:
    async with asyncio.timeout(0.3):
        await client.call()


def test_a_task_that_outlives_the_scenario_is_not_cancelled() -> None:
    report = audit(call, setup=a_client, probe=call)
    report.check()
    assert {each.suspension.task for each in report.attempts} == {"scenario"}


def test_it_is_cancelled_without_a_probe_where_that_is_asked_for() -> None:
    report = audit(call, setup=a_client, probe=call, children=True)
    report.check()
    assert {each.suspension.task for each in report.attempts} == {"scenario", "Client.work"}


@pytest.mark.slow
def test_a_task_is_cancelled_that_ends_with_the_scenario_and_is_awaited_or_defined_there() -> None:
    async def own() -> None:
        await asyncio.sleep(0)

    async def starts_four() -> None:
        stopped = asyncio.create_task(asyncio.Event().wait())
        ours = asyncio.create_task(own())
        await asyncio.create_task(asyncio.sleep(0))
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        await asyncio.shield(asyncio.create_task(asyncio.sleep(0)))  # only a shutdown cancels it
        await asyncio.sleep(0)
        assert ours.done()
        stopped.cancel()

    report = audit(starts_four, deliveries="early")
    tasks = [each.suspension.task.rpartition(".")[2] for each in report.attempts]
    assert [each for each in tasks if each != "scenario"] == ["own", "sleep", "sleep"]


def test_without_an_attempt_nothing_is_called_safe() -> None:
    async def rest() -> None:
        await asyncio.sleep(0)

    report = audit(rest, deliveries="error")
    assert report.verdict is Verdict.UNRESOLVED
    assert report.reason == "none of the deliveries applies at any of its suspensions"


# What servers of the setup accept


async def _ignore(reader: StreamReader, writer: StreamWriter) -> None:
    await reader.read()
    writer.close()


@asynccontextmanager
async def closes_as_it_accepts(host: str) -> AsyncGenerator[list[str]]:
    """Close a server in the turn of the loop in which it accepts a connection, if asked to.

    asyncio then drops the connection, which has a transport by now, and no handler.
    """
    asked = list[str]()
    server = await asyncio.start_server(_ignore, host, 0)
    with socket.socket() as client:
        async with server:
            yield asked
            if asked:
                client.connect(("127.0.0.1", server.sockets[0].getsockname()[1]))
                await asyncio.sleep(0)  # the loop sees that a connection has come
                await asyncio.sleep(0)  # and is about to make its transport


async def ask_if_cancelled(asked: list[str]) -> None:
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        asked.append("to close as it accepts")
        raise


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("debug", [False, True])
def test_what_a_server_of_the_setup_accepts_as_it_closes_is_no_finding(
    host: str, debug: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1" if debug else "")
    audit(ask_if_cancelled, setup=lambda: closes_as_it_accepts(host), deliveries="early").check()


@asynccontextmanager
async def leaves_its_server(listening: list[socket.socket]) -> AsyncGenerator[list[str]]:
    """Close the listening socket of the setup only if the scenario was not cancelled."""
    asked = list[str]()
    listening.append(socket.create_server(("127.0.0.1", 0)))
    yield asked
    if not asked:
        listening.pop().close()


@pytest.mark.slow
def test_the_listening_socket_of_the_setup_is_a_finding_once_the_setup_has_ended() -> None:
    listening = list[socket.socket]()
    report = audit(ask_if_cancelled, setup=lambda: leaves_its_server(listening), deliveries="early")
    for each in listening:
        each.close()
    assert {each.category for each in report.findings} == {Category.TRANSPORT}


# When the environment is used again


@asynccontextmanager
async def a_folder() -> AsyncGenerator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


async def write_and_remove(folder: Path) -> None:
    def work() -> None:
        (folder / "x").touch()
        threading.Event().wait(0.02)
        (folder / "x").unlink()

    await asyncio.to_thread(work)


async def work_is_seen(folder: Path) -> None:
    """Fail if the thread is seen at work, for which it is given some time."""
    for _ in range(10):
        assert not os.listdir(folder)
        await asyncio.sleep(0.001)


def test_what_a_thread_is_about_to_put_right_is_no_finding() -> None:
    audit(write_and_remove, setup=a_folder, probe=work_is_seen, deliveries="early").check()


def test_it_is_a_finding_where_the_scenario_says_so() -> None:
    scenario = Scenario(write_and_remove, a_folder, work_is_seen, probe_at_once=True)
    report = audit(scenario, deliveries="early")
    assert {each.category for each in report.findings} == {Category.WRONG_ANSWER}


def test_what_fails_at_once_with_no_thread_at_work_is_a_finding() -> None:
    @asynccontextmanager
    async def environment() -> AsyncGenerator[list[str]]:
        yield []

    async def run(broken: list[str]) -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            broken.append("for now")
            asyncio.get_running_loop().call_later(0.01, broken.clear)
            raise

    async def probe(broken: list[str]) -> None:
        assert not broken

    report = audit(run, setup=environment, probe=probe, deliveries="early")
    assert {each.category for each in report.findings} == {Category.WRONG_ANSWER}
    audit(Scenario(run, environment, probe, probe_at_once=False), deliveries="early").check()


def test_what_an_error_says_of_the_callbacks_of_a_future_does_not_make_it_new() -> None:
    """A late cancellation is a callback of the future that is awaited."""

    async def awaits_a_future_of(other: asyncio.AbstractEventLoop) -> None:
        async def wait_for_it() -> None:
            await other.create_future()

        asyncio.ensure_future(wait_for_it())  # noqa: RUF006  # nothing waits for it
        await asyncio.sleep(0.001)

    @asynccontextmanager
    async def another_loop() -> AsyncGenerator[asyncio.AbstractEventLoop]:
        other = asyncio.new_event_loop()
        yield other
        other.close()

    report = audit(awaits_a_future_of, setup=another_loop, deliveries="late")
    assert not report.findings, str(report)
    assert len(report.attempts) == 2
