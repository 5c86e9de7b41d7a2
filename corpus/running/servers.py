"""The real servers, as resources: started when the first case asks, stopped when all is done."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from corpus.running.child import Command, run, started, written
from corpus.running.failures import MissingError, PreparationError
from corpus.table import Service
from withal import Declaration, resource

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_POSTGRESQL = Path("/usr/lib/postgresql")  # where Debian keeps what is not on the path


@resource
async def redis() -> AsyncIterator[Mapping[str, str]]:
    """A redis on loopback, at a port of its own, that keeps nothing on the disk."""
    program = shutil.which("redis-server")
    if program is None:
        raise MissingError("redis-server is not on this machine; try apt-get install redis-server")
    port = str(_free_port())
    keep_nothing = ("--save", "", "--appendonly", "no")
    server = Command((program, "--bind", "127.0.0.1", "--port", port, *keep_nothing))
    async with _running(server, Command(("redis-cli", "-p", port, "ping")), signal.SIGTERM):
        yield {"REDIS_PORT": port}


@resource
async def postgresql() -> AsyncIterator[Mapping[str, str]]:
    """A PostgreSQL with a new, empty database, that listens at a socket in a folder of its own."""
    programs = _postgresql_programs()
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to be run by root
    with TemporaryDirectory(prefix="corpus-") as folder:
        if user is not None:
            shutil.chown(folder, user)
        data = Path(folder) / "data"
        await _make_database(programs / "initdb", data, user)
        server = Command(
            (programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses="), user=user
        )
        ready = Command((programs / "pg_isready", "-q", "-h", folder))
        async with _running(server, ready, signal.SIGINT):
            yield {"PGHOST": folder, "PGUSER": "corpus", "PGDATABASE": "postgres"}


SERVERS: dict[Service, Declaration[Mapping[str, str]]] = {
    Service.REDIS: redis,
    Service.POSTGRESQL: postgresql,
}
"""For each service the resource, whose value is the environment variables that lead to it."""


async def _make_database(initdb: Path, data: Path, user: str | None) -> None:
    words = (initdb, "-D", data, "-U", "corpus", "--auth=trust", "--no-sync", "--locale=C")
    ended = await run(Command(words, user=user), timeout=_START_SECONDS)
    if ended.status != 0:
        raise PreparationError(f"initdb made no database: {ended.last_line}")


@asynccontextmanager
async def _running(server: Command, ready: Command, stop: signal.Signals) -> AsyncGenerator[None]:
    """Start a server, wait until a command finds it ready, and stop it by a signal."""
    with TemporaryFile() as output:
        async with started(server, output) as process:
            try:
                await _wait_until_ready(process, ready)
            except PreparationError as error:
                raise PreparationError(f"{error}: {written(output).strip()[-500:]}") from None
            yield
            process.send_signal(stop)
            with suppress(TimeoutError):  # then it is killed
                async with asyncio.timeout(_STOP_SECONDS):
                    await process.wait()


async def _wait_until_ready(process: Process, ready: Command) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_START_SECONDS):
            while process.returncode is None:
                if (await run(ready, timeout=_START_SECONDS)).status == 0:
                    return
                await asyncio.sleep(0.05)
    raise PreparationError("the server did not start")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _postgresql_programs() -> Path:
    found = shutil.which("postgres")
    folders = [Path(found).resolve().parent] if found else sorted(_POSTGRESQL.glob("*/bin"))
    if not folders:
        raise MissingError("PostgreSQL is not on this machine; try apt-get install postgresql")
    return folders[-1]
