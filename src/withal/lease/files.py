"""Leases in a folder, for the processes of one machine.

Each lease has two files: one that is locked by ``flock(2)`` for each step, a fraction of a
millisecond, and one with what is stored, which a step replaces as a whole. Time is that of the
machine since it started, which all its processes share; what was stored before a restart of the
machine is void, except the fencing token.

A process that is stopped in the middle of a step has everybody wait until it goes on.
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

from withal.files.threads.calls import call, hop, landed
from withal.lease import table
from withal.lease.clock import monotonic
from withal.lease.errors import LeaseServerError
from withal.lease.leases import Leases
from withal.lease.protocol import Granted, Holder, Owner, Refused, Request, Unreachable
from withal.lease.table import Place, Row

T = TypeVar("T")

POLL = 0.02
"""Seconds between two looks of the first waiter at what is stored; of others, five times that."""

_LOCK_LIMIT = 5.0  # seconds that another process may be in a step before that is reported
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


@final
class FileLeases(Leases):
    """Leases between the processes of one machine, kept in a folder.

    For machines that share a folder over a network use a server: the clocks of the machines differ,
    and a folder last used by another machine is refused.

    The fencing token of a name is stored on the disk before it is used, and is also at least the
    number of microseconds since 1970, so that it increases even if the folder is deleted.

    Args:
        folder: where to keep the files, two for each name, which are never deleted. It is made
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
    """The backend: each step is a call in a thread."""

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

    async def ask(self, request: Request) -> Granted | Refused:
        return await self._step(request, partial(_ask, request))

    async def renew(self, request: Request, token: int) -> bool:
        return await self._step(request, partial(_renew, request, token))

    async def withdraw(self, request: Request) -> None:
        before = self._flights.get(request.id)
        if before is not None:  # a cancelled step, which cannot be called back, goes first
            await asyncio.wait((before,))
        await self._step(request, partial(_withdraw, request))

    async def _step(self, request: Request, step: Callable[[Row, float], tuple[Row, T]]) -> T:
        flight = hop(_run, self._folder, request.key, step)
        self._flights[request.id] = flight

        def forget(flight: asyncio.Future[T]) -> None:
            if self._flights.get(request.id) is flight:
                del self._flights[request.id]

        flight.add_done_callback(forget)
        return await landed(flight)

    @asynccontextmanager
    async def listening(self, request: Request) -> AsyncGenerator[_Polling]:
        yield _Polling(self._folder, request)

    async def holders(self) -> tuple[Holder, ...]:
        return await call(_holders, self._folder)


@final
class _Polling:
    """Looks at what is stored, again and again, in place of being woken."""

    def __init__(self, folder: Path, request: Request) -> None:
        self._folder = folder
        self._request = request

    async def wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        pause = POLL
        while (left := until - loop.time()) > 0:
            await asyncio.sleep(min(pause, left))
            ahead = await call(_ahead, self._folder, self._request, is_brief=True)
            if ahead is None:
                return
            pause = POLL if ahead == 0 else 5 * POLL


# From here on in threads


def _run(folder: Path, key: str, step: Callable[[Row, float], tuple[Row, T]]) -> T:
    """Make one step with what is stored of a lease."""
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
        raise _of(folder, f"{error}; name a folder that can be written") from error


def _of(folder: Path, problem: str) -> LeaseServerError:
    return LeaseServerError(str(folder), problem)


def _ask(request: Request, row: Row, now: float) -> tuple[Row, Granted | Refused]:
    return table.ask(row, request, now, floor=time.time_ns() // 1000)


def _renew(request: Request, token: int, row: Row, now: float) -> tuple[Row, bool]:
    renewed = table.renew(row, request, token, now)
    return (row, False) if renewed is None else (renewed, True)


def _withdraw(request: Request, row: Row, now: float) -> tuple[Row, None]:
    return table.withdraw(row, request, now), None


def _ahead(folder: Path, request: Request) -> int | None:
    """Return how many are ahead of a claim; None if it may ask again."""
    row, now = _load(folder / f"{request.key}.json"), monotonic()
    ids = [each.id for each in row.places if each.until > now]
    if request.id not in ids:
        return None
    ahead = ids.index(request.id)
    return None if now >= row.until + ahead * table.TURN else ahead


def _holders(folder: Path) -> tuple[Holder, ...]:
    try:
        rows = [_load(path) for path in folder.glob("*.json")]
    except OSError as error:
        raise _of(folder, f"{error}; name a folder that can be read") from error
    now = monotonic()
    found = [
        Owner.from_json(row.owner).holder(row.token, now - row.since, row.until - now)
        for row in rows
        if row.owner and row.until > now
    ]
    return tuple(sorted(found, key=lambda holder: holder.name))


@contextmanager
def _locked(path: Path) -> Generator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        until, pause = time.monotonic() + _LOCK_LIMIT, 0.0005
        while not _flock(fd):
            if time.monotonic() > until:
                raise Unreachable(
                    f"another process has had {str(path)!r} locked for {_LOCK_LIMIT:g} s; "
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
    """Return what is stored; after a restart of the machine, only the token."""
    try:
        text = path.read_text("ascii")
    except FileNotFoundError:
        return Row()
    try:
        boot, host, token, claim, since, until, owner, places = json.loads(text)
        row = Row(token, claim, since, until, owner, tuple(Place(*each) for each in places))
    except (ValueError, TypeError) as error:
        problem = f"{path.name} is damaged ({error}); delete it when nobody holds this lease"
        raise _of(path.parent, problem) from error
    if boot == _boot_id():
        return row
    if host != socket.gethostname():
        raise _of(
            path.parent,
            f"{path.name} was written on {host!r}, another machine, whose time is not this one's; "
            "use RedisLeases or PostgresLeases, or delete it if the machine was renamed",
        )
    return Row(row.token)


def _store(path: Path, row: Row, *, durably: bool) -> None:
    """Replace what is stored, as a whole; if `durably`, before anything else happens."""
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
