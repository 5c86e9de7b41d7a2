"""The real servers, as resources: started when the first case asks, stopped when all is done."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from corpus.running.child import Command, run, started, written
from corpus.running.failures import MissingError, PreparationError
from corpus.table import Service
from withal import Declaration, resource

_NOT_ROOT = "postgres"  # a user that comes with PostgreSQL
_START_SECONDS = 120.0
_STOP_SECONDS = 10.0
# Where Debian has programs that are not on the path. The `rabbitmq-server` that is on the path
# changes the user, and then cannot write to a folder of ours.
_POSTGRESQL = Path("/usr/lib/postgresql")
_RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


@resource
async def redis() -> AsyncIterator[Mapping[str, str]]:
    """A redis on loopback, at a port of its own, that keeps nothing on the disk."""
    program = _program("redis-server")
    port = str(_free_port())
    keep_nothing = ("--save", "", "--appendonly", "no")
    server = Command((program, "--bind", "127.0.0.1", "--port", port, *keep_nothing))
    async with _running(server, Command(("redis-cli", "-p", port, "ping")), signal.SIGTERM):
        yield {"REDIS_PORT": port}


@resource
async def postgresql() -> AsyncIterator[Mapping[str, str]]:
    """A PostgreSQL with a new, empty database, that listens at a socket in a folder of its own."""
    programs = _postgresql_programs()
    with TemporaryDirectory(prefix="corpus-") as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, _NOT_ROOT)
        data = Path(folder) / "data"
        await _make_database(programs / "initdb", data)
        variables = {
            "PGHOST": folder,
            "PGPORT": "5432",  # part of the socket's name
            "PGUSER": "corpus",
            "PGDATABASE": "postgres",
        }
        socket_alone = ("-k", folder, "-c", "listen_addresses=")
        words: tuple[str | Path, ...] = (
            *_not_as_root(),
            programs / "postgres",
            "-D",
            data,
            *socket_alone,
        )
        ready = Command((programs / "pg_isready", "-q"), variables)
        async with _running(Command(words, variables), ready, signal.SIGINT):
            yield variables


@resource
async def nats() -> AsyncIterator[Mapping[str, str]]:
    """A NATS server on loopback, at a port of its own."""
    program = _program("nats-server")
    port = str(_free_port())
    server = Command((program, "-a", "127.0.0.1", "-p", port))
    async with _running(server, _accepts(port), signal.SIGTERM):
        yield {"NATS_PORT": port}


@resource
async def memcached() -> AsyncIterator[Mapping[str, str]]:
    """A memcached on loopback, at a port of its own."""
    program = _program("memcached")
    port = str(_free_port())
    server = Command((program, "-l", "127.0.0.1", "-p", port, "-u", "nobody"))
    async with _running(server, _accepts(port), signal.SIGTERM):
        yield {"MEMCACHED_PORT": port}


@resource
async def mariadb() -> AsyncIterator[Mapping[str, str]]:
    """A MariaDB without data, that lets every user in, at a socket in a folder of its own."""
    program = _program("mariadbd", package="mariadb-server")
    user: tuple[str, ...] = ("--user=mysql",) if os.geteuid() == 0 else ()
    with TemporaryDirectory(prefix="corpus-") as folder:
        if user:
            shutil.chown(folder, "mysql")
        path = str(Path(folder) / "socket")
        data = ("--no-defaults", f"--datadir={Path(folder) / 'data'}", *user)
        made = await run(
            Command(("mariadb-install-db", *data, "--skip-test-db")), timeout=_START_SECONDS
        )
        if made.status != 0:
            raise PreparationError(f"mariadb-install-db made no database: {made.last_line}")
        alone = ("--skip-networking", "--skip-grant-tables", f"--socket={path}")
        ready = Command(("mariadb-admin", "--no-defaults", f"--socket={path}", "ping"))
        async with _running(Command((program, *data, *alone)), ready, signal.SIGTERM):
            yield {"MYSQL_SOCKET": path}


@resource
async def rabbitmq() -> AsyncIterator[Mapping[str, str]]:
    """A RabbitMQ on loopback without plugins, with a port mapper and a folder of its own."""
    program = _rabbitmq_program()
    mapper = _program("epmd", package="erlang-base")
    port, port_of_mapper = str(_free_port()), str(_free_port())
    map_ports = ("-address", "127.0.0.1", "-port", port_of_mapper)
    with TemporaryDirectory(prefix="corpus-") as folder:
        plugins = Path(folder) / "plugins"
        plugins.write_text("[].", encoding="utf-8")
        variables = {
            "HOME": folder,  # for the cookie
            "ERL_EPMD_PORT": port_of_mapper,
            "RABBITMQ_NODENAME": "corpus@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": port,
            "RABBITMQ_DIST_PORT": str(_free_port()),
            "RABBITMQ_MNESIA_BASE": folder,
            "RABBITMQ_LOG_BASE": folder,
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONF_ENV_FILE": str(Path(folder) / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_PID_FILE": str(Path(folder) / "pid"),
        }
        maps = Command((mapper, "-port", port_of_mapper, "-names"))
        async with (
            _running(Command((mapper, *map_ports)), maps, signal.SIGTERM),
            _running(Command((program,), variables), _accepts(port), signal.SIGKILL),
        ):
            yield {"RABBITMQ_PORT": port}


SERVERS: dict[Service, Declaration[Mapping[str, str]]] = {
    Service.REDIS: redis,
    Service.POSTGRESQL: postgresql,
    Service.NATS: nats,
    Service.MEMCACHED: memcached,
    Service.MARIADB: mariadb,
    Service.RABBITMQ: rabbitmq,
}
"""For each service the resource, whose value is the environment variables that lead to it."""


def _not_as_root() -> tuple[str, ...]:
    """Return what is to stand before a command that refuses to be run by root."""
    if os.geteuid() != 0:
        return ()
    return "setpriv", f"--reuid={_NOT_ROOT}", f"--regid={_NOT_ROOT}", "--init-groups"


async def _make_database(initdb: Path, data: Path) -> None:
    anywhere = ("--locale=C", "--encoding=UTF8", "--auth=trust", "--no-sync")
    words: tuple[str | Path, ...] = (*_not_as_root(), initdb, "-D", data, "-U", "corpus", *anywhere)
    ended = await run(Command(words), timeout=_START_SECONDS)
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
            try:
                yield
            finally:
                await _stop(process, stop)


async def _stop(process: Process, how: signal.Signals) -> None:
    """Give a server time to end; if it does not, it is killed."""
    with suppress(ProcessLookupError, TimeoutError):
        process.send_signal(how)
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


def _program(name: str, package: str = "") -> str:
    """Return the path of a program that Debian has in a package of the same or another name."""
    found = shutil.which(name)
    if found is None:
        raise MissingError(f"{name} is not on this machine; try apt-get install {package or name}")
    return found


def _accepts(port: str) -> Command:
    """Return a command that succeeds once a port of loopback accepts connections."""
    connect = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))"
    return Command((sys.executable, "-c", connect, port))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _rabbitmq_program() -> str | Path:
    return _RABBITMQ if _RABBITMQ.exists() else _program("rabbitmq-server")


def _postgresql_programs() -> Path:
    found = shutil.which("postgres")
    folders = [Path(found).resolve().parent] if found else sorted(_POSTGRESQL.glob("*/bin"))
    if not folders:
        raise MissingError("PostgreSQL is not on this machine; try apt-get install postgresql")
    return folders[-1]
