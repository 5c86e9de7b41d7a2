"""Small programs with one planted bug each, for the audit to find, and the same ones mended.

Each takes first whether it is mended, and what is then done differently is the mend. A cancellation
does its harm at the lines marked HERE, and only there.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
from asyncio import CancelledError, Future, Task
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import anyio

from withal.audit import Category, Delivery, contended

EARLY, LATE = Delivery.EARLY, Delivery.LATE
ANYIO, TIMEOUT, ERROR = Delivery.ANYIO, Delivery.TIMEOUT, Delivery.ERROR

EVERY = frozenset(Delivery) - {Delivery.ORDER}
CANCELLATIONS = EVERY - {ERROR}
WHILE_PENDING = frozenset({EARLY, ANYIO, TIMEOUT})
"""These come before the result."""

WITH_RESULT = frozenset({LATE, ERROR})
"""These come in the place of a result, which is dropped."""

ANY_TASK = frozenset({EARLY, LATE, ERROR})
"""These reach child tasks, too."""

HERE = "# HERE"

Program = TypeVar("Program", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Mutant:
    """A program with a bug.

    Attributes:
        run: the scenario, whose first argument is whether it is mended.
        category: what the audit has to call the bug.
        shows: with which deliveries it can be seen.
        setup: the environment, if it needs one; called with whether it is mended.
        probe: uses the environment again.
        also: what else the same bug leaves behind.
        depth: how many cancellations in a row it takes.
        timeout: seconds; less where a bug hangs.
        rest: seconds that the audit waits for what ends by itself.
    """

    run: Callable[..., object]
    category: Category
    shows: frozenset[Delivery]
    setup: Callable[[bool], AbstractAsyncContextManager[Any]] | None = None
    probe: Callable[..., object] | None = None
    also: frozenset[Category] = frozenset()
    depth: int = 1
    timeout: float = 5.0
    rest: float = 0.03


MUTANTS: list[Mutant] = []

HANGS = 0.15  # seconds, for what would take for ever


def planted(category: str, shows: frozenset[Delivery], **rest: Any) -> Callable[[Program], Program]:
    """Enter a program in the table."""

    def enter(run: Program) -> Program:
        MUTANTS.append(Mutant(run, Category(category), shows, **rest))
        return run

    return enter


# What they use, and what they leave behind, which is to be cleared away when they have been audited

LEFT: list[int | socket.socket | threading.Thread | subprocess.Popen[bytes]] = []
WOKEN = threading.Event()
"""Ends the threads among them."""


def clear() -> None:
    """Close and end what was left behind."""
    WOKEN.set()
    for each in LEFT:
        if isinstance(each, int):
            os.close(each)
        elif isinstance(each, threading.Thread):
            each.join()
        elif isinstance(each, subprocess.Popen):
            each.wait()
        else:
            each.close()
    LEFT.clear()
    WOKEN.clear()


async def a_while() -> None:
    """Wait for an answer, which takes some turns of the loop, and could be an error."""
    loop = asyncio.get_running_loop()
    answer: Future[None] = loop.create_future()
    timer = loop.call_later(0.001, settle, answer, None)
    try:
        await answer
    finally:
        timer.cancel()


def take() -> int:
    """Open a descriptor."""
    fd = os.open(os.devnull, os.O_RDONLY)
    LEFT.append(fd)
    return fd


def take_slowly() -> int:
    """Open a descriptor in a thread, not before others have had a turn."""
    WOKEN.wait(0.005)
    return take()


def give_back(fd: int) -> None:
    """Close a descriptor."""
    LEFT.remove(fd)
    os.close(fd)


def settle(future: Future[Any], value: object) -> None:
    """Give a future its result unless nobody waits for it any more."""
    if not future.done():
        future.set_result(value)


# Descriptors


@planted("descriptor", EVERY)
@asynccontextmanager
async def opens_before_a_wait(mended: bool) -> AsyncGenerator[int]:
    fd = take()
    try:
        await a_while()  # HERE
    except BaseException:
        if mended:
            give_back(fd)
        raise
    try:
        yield fd
    finally:
        give_back(fd)


@planted("descriptor", EVERY)
class OpensTwoAndForgetsTheFirst:
    def __init__(self, mended: bool) -> None:
        self.mended = mended

    async def __aenter__(self) -> None:
        self.first = take()
        try:
            await self.connect()  # HERE
        except BaseException:
            if self.mended:
                give_back(self.first)
            raise

    async def connect(self) -> None:
        self.second = take()
        try:
            await a_while()
        except BaseException:
            give_back(self.second)
            raise

    async def __aexit__(self, *exc: object) -> None:
        give_back(self.second)
        give_back(self.first)


@planted("descriptor", EVERY)
class WaitsBeforeItCloses:
    def __init__(self, mended: bool) -> None:
        self.mended = mended

    async def __aenter__(self) -> None:
        self.fd = take()

    async def __aexit__(self, *exc: object) -> None:
        if self.mended:
            try:
                await a_while()
            finally:
                give_back(self.fd)
        else:
            await a_while()  # HERE
            give_back(self.fd)


@planted("descriptor", WITH_RESULT)
async def drops_what_it_was_given(mended: bool) -> None:
    """A cancelled opening opens nothing, but one that is done has; uvloop counts milliseconds."""
    opened: Future[int] = asyncio.get_running_loop().create_future()

    def open_it() -> None:
        if not opened.done():
            opened.set_result(take())

    asyncio.get_running_loop().call_later(0.01, open_it)
    try:
        await opened  # HERE
    except BaseException:
        if mended and not opened.cancelled():
            give_back(opened.result())
        raise
    give_back(opened.result())


@planted("descriptor", WHILE_PENDING)
async def opens_although_nobody_waits(mended: bool) -> None:
    """It minds a result that is dropped, and not one that comes too late."""
    opened: Future[int] = asyncio.get_running_loop().create_future()

    def open_it() -> None:
        fd = take()
        if not opened.done():
            opened.set_result(fd)
        elif mended:
            give_back(fd)

    asyncio.get_running_loop().call_later(0.01, open_it)
    try:
        await opened  # HERE
    finally:
        if not opened.cancelled():
            give_back(opened.result())


@planted("descriptor", EVERY)
async def opens_in_a_thread_for_one_who_has_gone(mended: bool) -> None:
    opening = asyncio.get_running_loop().run_in_executor(None, take_slowly)
    try:
        fd = await (asyncio.shield(opening) if mended else opening)  # HERE
    except BaseException:
        if mended:
            opening.add_done_callback(lambda opened: give_back(opened.result()))
        raise
    give_back(fd)


@planted("descriptor", ANY_TASK)
async def leaks_in_a_child(mended: bool) -> None:
    async def child() -> None:
        fd = take()
        try:
            await a_while()  # HERE
        except BaseException:
            if mended:
                give_back(fd)
            raise
        give_back(fd)

    started = asyncio.create_task(child())
    await asyncio.shield(started)


@planted("descriptor", EVERY)
async def leaks_in_a_child_of_a_group(mended: bool) -> None:
    async def child() -> None:
        fd = take()
        try:
            await a_while()  # HERE
        except BaseException:
            if mended:
                give_back(fd)
            raise
        give_back(fd)

    async with asyncio.TaskGroup() as group:  # HERE
        group.create_task(child())


@planted("descriptor", EVERY)
async def leaks_in_an_asynchronous_generator(mended: bool) -> None:
    async def rows() -> AsyncGenerator[int]:
        fd = take()
        try:
            await a_while()  # HERE
        except BaseException:
            if mended:
                give_back(fd)
            raise
        yield fd
        give_back(fd)

    async for _ in rows():
        pass


@planted("descriptor", frozenset({ANYIO}))
@planted("descriptor", EVERY, depth=2)
async def waits_in_its_clean_up(mended: bool) -> None:
    """One cancellation does no harm; a second one, or anyio's, which come again, does."""
    fd = take()
    try:
        await a_while()  # HERE
    except BaseException:
        if mended:
            try:
                await a_while()
            finally:
                give_back(fd)
        else:
            await a_while()  # HERE
            give_back(fd)
        raise
    give_back(fd)


@planted("descriptor", EVERY - {ANYIO})
async def shields_as_only_anyio_does(mended: bool) -> None:
    fd = take()
    try:
        with anyio.CancelScope(shield=True):
            await a_while()  # HERE
    except BaseException:
        if mended:
            give_back(fd)
        raise
    give_back(fd)


# Sockets and transports


@planted("socket or transport", EVERY)
async def leaves_a_socket(mended: bool) -> None:
    peer = socket.socket()
    LEFT.append(peer)
    try:
        await a_while()  # HERE
    except BaseException:
        if mended:
            peer.close()
        raise
    peer.close()


@asynccontextmanager
async def silent_server(mended: bool) -> AsyncGenerator[int]:
    """Yield the port of a server that lets connect, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@planted("socket or transport", EVERY, setup=silent_server)
async def never_closes_its_transport(mended: bool, port: int) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
    try:
        await a_while()  # HERE
    except BaseException:
        if mended:
            transport.close()
        raise
    transport.close()


# Processes, threads and tasks


@planted(
    "process",
    EVERY,
    also=frozenset({Category.DESCRIPTOR}),  # asyncio's own of the process, from 3.12 on
    rest=0.25,
)
async def leaves_a_process_running(mended: bool) -> None:
    process = await asyncio.create_subprocess_exec("sleep", "60", stdin=subprocess.DEVNULL)
    try:
        await a_while()  # HERE
    except BaseException:
        if mended:
            process.kill()
            await process.wait()
        raise
    process.kill()
    await process.wait()


@planted("process", EVERY)
async def leaves_a_process_unreaped(mended: bool) -> None:
    process = subprocess.Popen(["true"])
    LEFT.append(process)
    try:
        await a_while()  # HERE
    except BaseException:
        if mended:
            process.wait()
        raise
    process.wait()


@planted("thread", EVERY)
async def leaves_a_thread(mended: bool) -> None:
    ended = threading.Event()

    def serve() -> None:
        while not (ended.is_set() or WOKEN.is_set()):
            WOKEN.wait(0.001)

    thread = threading.Thread(target=serve, name="served")
    LEFT.append(thread)
    thread.start()
    try:
        await a_while()  # HERE
    except BaseException:
        if mended:
            ended.set()
        raise
    ended.set()
    thread.join()


@planted("task", EVERY)
class LeavesATask:
    def __init__(self, mended: bool) -> None:
        self.mended = mended

    async def __aenter__(self) -> None:
        self.heartbeat = asyncio.create_task(asyncio.Event().wait())
        try:
            await a_while()  # HERE
        except BaseException:
            if self.mended:
                self.heartbeat.cancel()
            raise

    async def __aexit__(self, *exc: object) -> None:
        self.heartbeat.cancel()


# Locks and slots


class Pool:
    """A pool of one descriptor, which it tries before it is handed out."""

    def __init__(self, mended: bool) -> None:
        self.mended = mended
        self.free = asyncio.Semaphore(1)

    async def get(self) -> None:
        await self.free.acquire()
        try:
            await a_while()  # HERE
        except BaseException:
            if self.mended:
                self.free.release()
            raise

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None]:
        await self.get()
        try:
            yield
        finally:
            self.free.release()


@asynccontextmanager
async def a_pool(mended: bool) -> AsyncGenerator[Pool]:
    yield Pool(mended)


async def use_the_slot(pool: Pool) -> None:
    async with pool.slot():
        pass


async def use_the_slot_soon(pool: Pool) -> None:
    async with asyncio.timeout(HANGS / 4):
        await use_the_slot(pool)


@planted("lock or slot", EVERY, setup=a_pool, probe=use_the_slot, timeout=HANGS)
@planted("lock or slot", EVERY, setup=a_pool, probe=use_the_slot_soon)
async def loses_a_slot(mended: bool, pool: Pool) -> None:
    await use_the_slot(pool)


class Handed:
    """A lock that is handed from who has it to who waits first, and then is never free."""

    def __init__(self, mended: bool) -> None:
        self.mended = mended
        self.locked = False
        self.waiters: deque[Future[None]] = deque()

    async def __aenter__(self) -> None:
        if not self.locked:
            self.locked = True
            return
        woken: Future[None] = asyncio.get_running_loop().create_future()
        self.waiters.append(woken)
        try:
            await woken  # HERE
        except BaseException:
            if self.mended and woken.done() and not woken.cancelled():
                self.release()
            with suppress(ValueError):
                self.waiters.remove(woken)
            raise

    async def __aexit__(self, *exc: object) -> None:
        self.release()

    def release(self) -> None:
        while self.waiters:
            woken = self.waiters.popleft()
            if not woken.done():
                woken.set_result(None)
                return
        self.locked = False


@asynccontextmanager
async def held_elsewhere(mended: bool, kind: Callable[[bool], Any]) -> AsyncGenerator[Any]:
    lock = kind(mended)
    async with contended(lock):
        yield lock


async def acquire(lock: AbstractAsyncContextManager[None]) -> None:
    async with lock:
        pass


@planted(
    "lock or slot",
    WITH_RESULT,
    setup=lambda mended: held_elsewhere(mended, Handed),
    probe=acquire,
    also=frozenset({Category.STARVATION}),
    timeout=HANGS,
)
async def is_handed_a_lock_and_drops_it(mended: bool, lock: Handed) -> None:
    await acquire(lock)


# Starvation


class Queued:
    """A lock that wakes who waits first, who then takes it if it is still free."""

    def __init__(self, mended: bool) -> None:
        self.mended = mended
        self.locked = False
        self.waiters: deque[Future[None]] = deque()

    async def __aenter__(self) -> None:
        while self.locked:
            woken: Future[None] = asyncio.get_running_loop().create_future()
            self.waiters.append(woken)
            try:
                await woken  # HERE
            except BaseException:
                self.leave(woken)
                raise
        self.locked = True

    async def __aexit__(self, *exc: object) -> None:
        self.locked = False
        self.wake()

    def wake(self) -> None: ...

    def leave(self, woken: Future[None]) -> None: ...


class LosesTheCall(Queued):
    """Who is woken and goes does not wake the next one."""

    def wake(self) -> None:
        for woken in self.waiters:
            if not woken.done():
                woken.set_result(None)
                break

    def leave(self, woken: Future[None]) -> None:
        self.waiters.remove(woken)
        if self.mended and not woken.cancelled() and not self.locked:
            self.wake()


class CallsTheGone(Queued):
    """Who goes stays in the queue, and takes the call with it."""

    def wake(self) -> None:
        if self.waiters:
            settle(self.waiters.popleft(), None)

    def leave(self, woken: Future[None]) -> None:
        if woken in self.waiters:
            if self.mended:
                self.waiters.remove(woken)
        elif not self.locked:
            self.wake()


@planted("starvation", WITH_RESULT, setup=lambda mended: held_elsewhere(mended, LosesTheCall))
@planted("starvation", WHILE_PENDING, setup=lambda mended: held_elsewhere(mended, CallsTheGone))
async def goes_while_it_waits(mended: bool, lock: Queued) -> None:
    await acquire(lock)


# Wrong answers


class Connection:
    """Sends questions, and takes the answers in the order in which they come."""

    def __init__(self, mended: bool) -> None:
        self.mended = mended
        self.answers: asyncio.Queue[str] = asyncio.Queue()
        self.unread = 0

    async def ask(self, question: str) -> str:
        asyncio.get_running_loop().call_later(0.001, self.answers.put_nowait, question.upper())
        while self.mended and self.unread:
            await self.answers.get()
            self.unread -= 1
        self.unread += 1
        answer = await self.answers.get()  # HERE
        self.unread -= 1
        return answer


@asynccontextmanager
async def a_connection(mended: bool) -> AsyncGenerator[Connection]:
    yield Connection(mended)


async def ask_again(connection: Connection) -> None:
    answer = await connection.ask("mine")
    assert answer == "MINE", f"asked for 'mine', and got {answer!r}"


@planted("wrong answer", CANCELLATIONS, setup=a_connection, probe=ask_again)
async def leaves_an_answer_unread(mended: bool, connection: Connection) -> None:
    await connection.ask("yours")


# Swallowed cancellations, and those that never end


@planted("swallowed cancellation", CANCELLATIONS - {ANYIO})
async def carries_on(mended: bool) -> None:
    """Unlike a task, anyio cancels again at the next wait, so that nothing is lost."""
    try:
        await a_while()  # HERE
    except CancelledError:
        if mended:
            raise


@planted("swallowed cancellation", CANCELLATIONS - {ANYIO})
@asynccontextmanager
async def carries_on_and_waits_again(mended: bool) -> AsyncGenerator[None]:
    """Unlike a task, anyio cancels again what waits again."""
    try:
        await a_while()  # HERE
    except CancelledError:
        if mended:
            raise
    yield


@planted("hang", EVERY, timeout=HANGS)
async def waits_for_what_never_comes(mended: bool) -> None:
    ready = asyncio.Event()
    try:
        await a_while()  # HERE
        ready.set()
    finally:
        if not mended:
            with anyio.CancelScope(shield=True):
                await ready.wait()


# Closed only by the garbage collector, or as it is dropped


@planted("dropped without being closed", EVERY)
async def drops_a_file(mended: bool) -> None:
    file = Path(os.devnull).open()  # noqa: SIM115
    try:
        await a_while()  # HERE
    except BaseException:
        if mended:
            file.close()
        raise
    file.close()


class Cycle:
    """Holds a descriptor, and itself. Its finalizer closes, and says nothing."""

    def __init__(self) -> None:
        self.fd = take()
        self.me = self

    def __del__(self) -> None:
        if self.fd in LEFT:
            give_back(self.fd)


@planted("dropped without being closed", EVERY, setup=silent_server)
async def drops_its_streams(mended: bool, port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await a_while()  # HERE
    except BaseException:
        if mended:
            writer.close()
        raise
    writer.close()
    await writer.wait_closed()


@planted("closed only by the garbage collector", EVERY)
async def drops_a_cycle(mended: bool) -> None:
    cycle = Cycle()
    try:
        await a_while()  # HERE
    except BaseException:
        if mended:
            give_back(cycle.fd)
        raise
    give_back(cycle.fd)


@planted("task", EVERY)
async def drops_a_task(mended: bool) -> None:
    """Nobody but itself knows of the task, which waits for what nobody else knows of."""

    async def wait_for(future: Future[None]) -> None:
        await future

    future: Future[None] = asyncio.get_running_loop().create_future()
    waiting: Task[None] = asyncio.create_task(wait_for(future))
    try:
        await a_while()  # HERE
    except BaseException:
        if mended:
            waiting.cancel()
        raise
    waiting.cancel()


# Errors in clean-up


@planted("error in clean-up", CANCELLATIONS)
class ClosesWhatIsNotOpen:
    writer: int

    def __init__(self, mended: bool) -> None:
        self.mended = mended

    async def __aenter__(self) -> None:
        async with AsyncExitStack() as stack:
            stack.callback(self.close)
            await a_while()  # HERE
            self.writer = take()
            stack.pop_all()

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        if self.mended and not hasattr(self, "writer"):
            return
        give_back(self.writer)


@planted("error in clean-up", WHILE_PENDING)
async def fails_where_nobody_listens(mended: bool) -> None:
    loop = asyncio.get_running_loop()
    done: Future[None] = loop.create_future()
    loop.call_later(0.02, settle if mended else Future.set_result, done, None)
    await done  # HERE


@planted("error in clean-up", EVERY)
async def fails_when_it_is_collected(mended: bool) -> None:
    class Fails:
        def __del__(self) -> None:
            if not self.closed:
                raise RuntimeError("not closed")

        closed = False

    fails = Fails()
    try:
        await a_while()  # HERE
    except BaseException:
        fails.closed = mended
        raise
    fails.closed = True
