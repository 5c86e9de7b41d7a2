"""Scenarios with a bug of each kind, of which programs are written. They need nothing but this."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from asyncio import Future
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from withal.audit import Scenario, contended, expect, slow_proxy
from withal.audit import contended as held

NULL = os.devnull


async def leaks_a_descriptor() -> None:
    fd = os.open(NULL, os.O_RDONLY)
    await asyncio.sleep(0)
    os.close(fd)


async def drops_a_file() -> None:
    expect("thread", why="to be left out of a program")
    file = Path(NULL).open()  # noqa: SIM115
    await asyncio.sleep(0.001)
    file.close()


class LeaksATask:
    async def __aenter__(self) -> None:
        self.event = asyncio.Event()
        self.task = asyncio.create_task(self.event.wait(), name="waits")
        await asyncio.sleep(0)

    async def __aexit__(self, *exc: object) -> None:
        self.task.cancel()


async def leaks_a_thread() -> None:
    go = threading.Event()
    threading.Thread(target=go.wait, args=(3,), daemon=True).start()
    await asyncio.sleep(0.001)
    go.set()


async def leaks_a_process() -> None:
    # Without the pipes of the program, whose reader would wait for the end of `sleep`.
    process = subprocess.Popen(["sleep", "3"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    await asyncio.sleep(0.001)
    process.kill()
    process.wait()


async def swallows() -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0.01)


async def hangs() -> None:
    try:
        await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        await asyncio.Event().wait()


async def fails_in_clean_up() -> None:
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        raise ValueError("not open") from None


async def starts_one_that_leaks() -> None:
    async def opens() -> None:
        fd = os.open(NULL, os.O_RDONLY)
        await asyncio.sleep(0.001)
        os.close(fd)

    await asyncio.gather(opens(), return_exceptions=True)


async def leaks_when_cancelled_twice() -> None:
    try:
        await asyncio.sleep(0.001)
    except asyncio.CancelledError:
        fd = os.open(NULL, os.O_RDONLY)
        await asyncio.sleep(0.001)
        os.close(fd)
        raise


class Pool:
    def __init__(self) -> None:
        self.slots = asyncio.Semaphore(1)
        self.answers: list[str] = []

    async def use(self) -> None:
        await self.slots.acquire()
        await asyncio.sleep(0.001)
        self.slots.release()

    async def ask(self, question: str) -> str:
        self.answers.append(question)
        await asyncio.sleep(0.001)
        return self.answers.pop(0)


@asynccontextmanager
async def pool() -> AsyncGenerator[Pool]:
    yield Pool()


async def ask_for_one(pool: Pool) -> None:
    await pool.ask("one")


async def ask_for_two(pool: Pool) -> None:
    answer = await pool.ask("two")
    assert answer == "two", answer


loses_a_slot = Scenario(Pool.use, pool, Pool.use)
answers_wrongly = Scenario(run=ask_for_one, setup=pool, probe=ask_for_two, name="answers")


class Starves:
    def __init__(self) -> None:
        self.held = False
        self.waiters: deque[Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self.held or self.waiters:
            waiter = asyncio.get_running_loop().create_future()
            self.waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self.waiters:
                    self.waiters.remove(waiter)
                raise
        self.held = True

    async def __aexit__(self, *exc: object) -> None:
        self.held = False
        if self.waiters:
            self.waiters.popleft().set_result(None)


@asynccontextmanager
async def a_lock_that_starves() -> AsyncGenerator[Starves]:
    lock = Starves()
    async with contended(lock):
        yield lock


@asynccontextmanager
async def the_same_by_another_name() -> AsyncGenerator[Starves]:
    lock = Starves()
    async with held(lock):
        yield lock


async def main(lock: Starves) -> None:
    """Have a name that the program has a function of its own of."""
    async with lock:
        pass


starves = Scenario(main, setup=a_lock_that_starves)
starves_again = Scenario(lambda lock: main(lock), setup=the_same_by_another_name)


@asynccontextmanager
async def behind_a_proxy() -> AsyncGenerator[object]:
    async with slow_proxy("127.0.0.1", 1) as address:
        yield address


async def leaks_behind_a_proxy(address: object) -> None:
    await leaks_a_descriptor()


needs_a_proxy = Scenario(leaks_behind_a_proxy, setup=behind_a_proxy)


def made() -> Scenario:
    async def inner() -> None:
        await leaks_a_descriptor()

    return Scenario(inner)


without_a_name = made()
runs = 0


async def leaks_here_only() -> None:
    """Not leak in a program of its own, which runs it but once."""
    global runs  # noqa: PLW0603
    runs += 1
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        if runs > 3:
            os.open(NULL, os.O_RDONLY)
        raise


async def is_in_order() -> None:
    await asyncio.sleep(0)


@asynccontextmanager
async def connection_to_a_missing_server() -> AsyncGenerator[asyncio.StreamWriter]:
    _, writer = await asyncio.open_connection("127.0.0.1", 1)
    yield writer


async def ask_it(writer: asyncio.StreamWriter) -> None:
    await writer.drain()


needs_a_server = Scenario(ask_it, setup=connection_to_a_missing_server)
