"""Leases in a folder, for the processes of one machine.

Each lease has two files. One is locked for each step, for a fraction of a millisecond, by
``flock(2)`` (https://man7.org/linux/man-pages/man2/flock.2.html). The other has the stored data,
and each step replaces it atomically. Times are seconds since the machine started, the same for all
of its processes. Data from before a restart of the machine is ignored, except the fencing token.

If a process is stopped in the middle of a step, all others wait until it continues.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import socket
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, final
from uuid import uuid4

from withal.files.threads.calls import call, call_in_thread, result_of
from withal.lease import table
from withal.lease.clock import monotonic
from withal.lease.errors import LeaseServerError
from withal.lease.leases import Leases
from withal.lease.protocol import Granted, Holder, LeaseOwner, LeaseRequest, Refused, Unreachable
from withal.lease.table import QueuePlace, Row

T = TypeVar("T")

POLL_SECONDS = 0.02
"""Seconds between two reads of the file by the first waiter; other waiters take five times that."""

_LOCK_SECONDS = 5.0  # seconds to wait for another process that is in a step
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


@final
class FileLeases(Leases):
    """Leases between the processes of one machine, kept in a folder.

    For machines that share a folder over a network, use a server instead: their clocks differ, so a
    folder that was last used by another machine raises `LeaseServerError`.

    The fencing token of a name is written to the disk before it is used. It is also at least the
    number of microseconds since 1970, so that it increases even if the folder is deleted.

    Args:
        folder: the folder for the files, two for each name, which are never deleted. It is created
            if it is missing.

    Example:
        >>> import asyncio, tempfile
        >>> async def main(folder: str) -> None:
        ...     leases = FileLeases(folder)
        ...     async with leases.hold("nightly", ttl=30, timeout=60) as lease:
        ...         holder, = await leases.holders()
        ...         print(holder.name, holder.token == lease.token)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        nightly True
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        super().__init__(_Folder(Path(os.path.abspath(folder))))


@final
class _Folder:
    """The backend; each step is a call in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._flights: dict[str, asyncio.Future[Any]] = {}  # of any step

    @property
    def server(self) -> str:
        return str(self._folder)

    def connected(self) -> AbstractAsyncContextManager[object]:
        return nullcontext()

    def claim_id(self) -> str:
        return uuid4().hex

    async def ask(self, request: LeaseRequest) -> Granted | Refused:
        return await self._step(request, partial(_ask, request))

    async def renew(self, request: LeaseRequest, token: int) -> bool:
        return await self._step(request, partial(_renew, request, token))

    async def withdraw(self, request: LeaseRequest) -> None:
        before = self._flights.get(request.id)
        if before is not None:  # a step of a cancelled request, whose thread cannot be interrupted
            await asyncio.wait((before,))
        await self._step(request, partial(_withdraw, request))

    async def _step(self, request: LeaseRequest, step: Callable[[Row, float], tuple[Row, T]]) -> T:
        flight = call_in_thread(_run, self._folder, request.key, step)
        self._flights[request.id] = flight

        def forget(flight: asyncio.Future[T]) -> None:
            if self._flights.get(request.id) is flight:
                del self._flights[request.id]

        flight.add_done_callback(forget)
        return await result_of(flight)

    @asynccontextmanager
    async def listening(self, request: LeaseRequest) -> AsyncGenerator[_Polling]:
        yield _Polling(self._folder, request)

    async def holders(self) -> tuple[Holder, ...]:
        return await call(_holders, self._folder)


@final
class _Polling:
    """Reads the stored data repeatedly, since a folder sends no wake-ups."""

    def __init__(self, folder: Path, request: LeaseRequest) -> None:
        self._folder = folder
        self._request = request

    async def wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        pause = POLL_SECONDS
        while (left := until - loop.time()) > 0:
            await asyncio.sleep(min(pause, left))
            ahead = await call(_ahead, self._folder, self._request, is_brief=True)
            if ahead is None:
                return
            pause = POLL_SECONDS if ahead == 0 else 5 * POLL_SECONDS


# The functions below run in threads.


def _run(folder: Path, key: str, step: Callable[[Row, float], tuple[Row, T]]) -> T:
    """Load the stored data of a lease, make one step, and store the result."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / f"{key}.lock"):
            path = folder / f"{key}.json"
            now = monotonic()
            before = _load(path)
            after, answer = step(before, now)
            if after != before:
                _store(path, after, durably=after.token != before.token)
            return answer
    except OSError as error:
        raise _of(folder, f"{error}; use a folder that this process can write") from error


def _of(folder: Path, problem: str) -> LeaseServerError:
    return LeaseServerError(str(folder), problem)


def _ask(request: LeaseRequest, row: Row, now: float) -> tuple[Row, Granted | Refused]:
    return table.ask(row, request, now, floor=time.time_ns() // 1000)


def _renew(request: LeaseRequest, token: int, row: Row, now: float) -> tuple[Row, bool]:
    renewed = table.renew(row, request, token, now)
    return (row, False) if renewed is None else (renewed, True)


def _withdraw(request: LeaseRequest, row: Row, now: float) -> tuple[Row, None]:
    return table.withdraw(row, request, now), None


def _ahead(folder: Path, request: LeaseRequest) -> int | None:
    """Return the number of waiters ahead of a claim; None if it may ask again."""
    row, now = _load(folder / f"{request.key}.json"), monotonic()
    ids = [each.id for each in row.places if each.until > now]
    if request.id not in ids:
        return None
    ahead = ids.index(request.id)
    return None if now >= row.until + ahead * table.TURN_SECONDS else ahead


def _holders(folder: Path) -> tuple[Holder, ...]:
    try:
        rows = [_load(path) for path in folder.glob("*.json")]
    except OSError as error:
        raise _of(folder, f"{error}; use a folder that this process can read") from error
    now = monotonic()
    found = [
        LeaseOwner.from_json(row.owner).holder(row.token, now - row.since, row.until - now)
        for row in rows
        if row.owner and row.until > now
    ]
    return tuple(sorted(found, key=lambda holder: holder.name))


@contextmanager
def _locked(path: Path) -> Generator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        until, pause = time.monotonic() + _LOCK_SECONDS, 0.0005
        while not _flock(fd):
            if time.monotonic() > until:
                raise Unreachable(
                    f"another process has locked {str(path)!r} for more than {_LOCK_SECONDS:g} s; "
                    "it may be stopped"
                )
            time.sleep(pause)
            pause = min(2 * pause, 0.01)
        yield
    finally:
        os.close(fd)


def _flock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _load(path: Path) -> Row:
    """Return the stored data; after a restart of the machine, only the token."""
    try:
        text = path.read_text("ascii")
    except FileNotFoundError:
        return Row()
    try:
        boot, host, token, claim, since, until, owner, places = json.loads(text)
        row = Row(token, claim, since, until, owner, tuple(QueuePlace(*each) for each in places))
    except (ValueError, TypeError) as error:
        problem = f"{path.name} is damaged ({error}); delete it when this lease is not held"
        raise _of(path.parent, problem) from error
    if boot == _boot_id():
        return row
    if host != socket.gethostname():
        raise _of(
            path.parent,
            f"{path.name} was written on another machine, {host!r}, whose clock differs; "
            "use RedisLeases or PostgresLeases, or delete it if the machine was renamed",
        )
    return Row(row.token)


def _store(path: Path, row: Row, *, durably: bool) -> None:
    """Replace the stored data atomically; if `durably`, wait until it is on the disk."""
    places = [[each.id, each.until] for each in row.places]
    content = [_boot_id(), socket.gethostname(), row.token, row.id, row.since, row.until]
    temporary = path.with_suffix(".new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(fd, "w", encoding="ascii") as file:
            json.dump([*content, row.owner, places], file)
            file.flush()
            if durably:
                os.fsync(fd)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    if durably:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _boot_id() -> str:
    try:
        return Path(_BOOT_ID).read_text("ascii").strip()
    except FileNotFoundError:
        return ""
