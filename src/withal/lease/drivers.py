"""One interface to asyncpg and psycopg, with the few operations that leases need."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any, Protocol, TypeAlias, final

from withal._core.aliases import Coro
from withal.lease.protocol import Unreachable

CONNECT_SECONDS = 4.0
"""Seconds that a connection may take to open."""

INVALID_DSN = "invalid DSN"
"""The code of the error for a DSN that the client cannot parse."""

_CLOSE_SECONDS = 1.0  # seconds

# Classes of SQLSTATE (its first two characters) for which a retry may help: connection, resources,
# operator intervention, transaction rollback; and invalid state, as on a read-only standby.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_TRANSIENT = frozenset({"08", "53", "57", "40", "25"})

Value: TypeAlias = str | float | bool
Row: TypeAlias = Sequence[Any]  # the values of the columns that a query selects


class QueryError(Exception):
    """The server refused a query; the cause is the client's error.

    Attributes:
        code: the SQLSTATE, five characters; or `INVALID_DSN`; empty if there is none.
    """

    def __init__(self, message: str, code: str) -> None:
        self.code = code
        super().__init__(message)


class Connection(Protocol):
    """One connection."""

    async def rows(self, query: str, *args: Value) -> Sequence[Row]:
        """Return the rows of a query with parameters ``$1``, ``$2`` and so on."""
        ...

    async def script(self, text: str) -> None:
        """Run several statements as one transaction."""
        ...

    async def listen(self, channel: str) -> AsyncIterator[str]:
        """Begin to listen, and return an iterator of the messages, without end."""
        ...

    @property
    def announced_process(self) -> int:
        """The id of the server's process, as it was announced when the connection was made.

        A pooler may announce another id than that of the process that runs the queries.
        """
        ...

    async def aclose(self) -> None:
        """Close it, within a second."""
        ...

    def abort(self) -> None:
        """Close it immediately, even while a query is running."""
        ...


Connect: TypeAlias = Callable[[str], Coro[Connection]]


@contextmanager
def _errors(base: type[Exception]) -> Generator[None]:
    """Convert errors of a client: to `Unreachable` if a retry may help, else to `QueryError`."""
    try:
        yield
    except base as error:
        code: str = getattr(error, "sqlstate", None) or ""
        if code and code[:2] not in _TRANSIENT:
            raise QueryError(_first_line(error), code) from error
        raise Unreachable(_first_line(error)) from error
    except (OSError, TimeoutError) as error:
        raise Unreachable(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@final
class _Asyncpg:
    """A connection of asyncpg."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, dsn: str) -> _Asyncpg:
        """Connect. Without a statement cache, so that it works through a pooler."""
        import asyncpg

        with _errors(asyncpg.PostgresError), _asyncpg_errors():
            try:
                connection = await asyncpg.connect(
                    dsn, timeout=CONNECT_SECONDS, statement_cache_size=0
                )
            except ValueError:
                raise _invalid_dsn() from None
        return cls(connection)

    async def rows(self, query: str, *args: Value) -> Sequence[Row]:
        import asyncpg

        with _errors(asyncpg.PostgresError), _asyncpg_errors():
            return [tuple(row) for row in await self._connection.fetch(query, *args)]

    async def script(self, text: str) -> None:
        import asyncpg

        with _errors(asyncpg.PostgresError), _asyncpg_errors():
            await self._connection.execute(text)

    async def listen(self, channel: str) -> AsyncIterator[str]:
        import asyncpg

        received: asyncio.Queue[str | None] = asyncio.Queue()
        self._connection.add_termination_listener(lambda _: received.put_nowait(None))
        with _errors(asyncpg.PostgresError), _asyncpg_errors():
            await self._connection.add_listener(
                channel, lambda *event: received.put_nowait(event[3])
            )

        async def messages() -> AsyncIterator[str]:
            while (message := await received.get()) is not None:
                yield message
            raise Unreachable("the connection that listens was closed")

        return messages()

    @property
    def announced_process(self) -> int:
        return int(self._connection.get_server_pid())

    async def aclose(self) -> None:
        try:
            with suppress(Exception):
                await self._connection.close(timeout=_CLOSE_SECONDS)
        finally:
            self._connection.terminate()

    def abort(self) -> None:
        self._connection.terminate()


@contextmanager
def _asyncpg_errors() -> Generator[None]:
    import asyncpg

    try:
        yield
    # Mostly a lost connection; under uvloop, asyncpg may raise InternalClientError for that.
    except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise Unreachable(_first_line(error)) from error


@final
class _Psycopg:
    """A connection of psycopg 3."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, dsn: str) -> _Psycopg:
        """Connect. Without prepared statements, so that it works through a pooler."""
        import psycopg

        with _errors(psycopg.Error):
            try:
                connection = await psycopg.AsyncConnection.connect(
                    dsn,
                    autocommit=True,
                    prepare_threshold=None,
                    connect_timeout=int(CONNECT_SECONDS),
                    cursor_factory=psycopg.AsyncRawCursor,
                )
            except psycopg.ProgrammingError:
                raise _invalid_dsn() from None
            except psycopg.OperationalError as error:
                code = _code_of(str(error))
                if code:
                    raise QueryError(_first_line(error), code) from error
                raise
        return cls(connection)

    async def rows(self, query: str, *args: Value) -> Sequence[Row]:
        cursor = await self._execute(query, args)
        return list(await cursor.fetchall())

    async def script(self, text: str) -> None:
        await self._execute(text, None)

    async def _execute(self, query: str, args: Sequence[Value] | None) -> Any:
        """Run a query; when cancelled, break the connection.

        psycopg itself would request the server to cancel the query, and wait up to five seconds.
        """
        import psycopg

        with _errors(psycopg.Error):
            query_task = asyncio.ensure_future(self._connection.execute(query, args))
            try:
                await asyncio.wait((query_task,))
            except asyncio.CancelledError:
                self._shut_down()
                query_task.add_done_callback(_forget)
                await asyncio.wait((query_task,), timeout=_CLOSE_SECONDS)
                raise
            return query_task.result()

    def _shut_down(self) -> None:
        """Shut down the socket, so that the query fails."""
        descriptor = os.dup(self._connection.pgconn.socket)
        with socket.socket(fileno=descriptor) as its_socket, suppress(OSError):
            its_socket.shutdown(socket.SHUT_RDWR)

    async def listen(self, channel: str) -> AsyncIterator[str]:
        import psycopg

        await self._execute(f"LISTEN {channel}", None)

        async def messages() -> AsyncIterator[str]:
            with _errors(psycopg.Error):
                async for notification in self._connection.notifies():
                    yield notification.payload
            raise Unreachable("the connection that listens was closed")

        return messages()

    @property
    def announced_process(self) -> int:
        return int(self._connection.info.backend_pid)

    async def aclose(self) -> None:
        with suppress(Exception):
            await self._connection.close()

    def abort(self) -> None:
        self._connection.pgconn.finish()


def _invalid_dsn() -> QueryError:
    """Return an error without the client's own message, which may have the password in it."""
    return QueryError("the DSN is not valid", INVALID_DSN)


def _code_of(problem: str) -> str:
    """Return the SQLSTATE of an error of a connection; libpq gives only the text."""
    if "no password supplied" in problem or "authentication failed" in problem:
        return "28P01"
    if " does not exist" in problem:
        return "28000" if "role " in problem else "3D000"
    return ""


def _forget(task: asyncio.Future[object]) -> None:
    """Retrieve the exception of a query that is not awaited any more."""
    if not task.cancelled():
        task.exception()


DRIVERS: dict[str, Connect] = {"asyncpg": _Asyncpg.open, "psycopg": _Psycopg.open}


def find_driver() -> Connect:
    """Return the connect function of the first client that is installed.

    Raises:
        ImportError: if none is installed; the message names the extra.
    """
    for name, connect in DRIVERS.items():
        if find_spec(name):
            return connect
    raise ImportError(
        "PostgresLeases needs asyncpg or psycopg, and neither is installed: "
        'pip install "withal[postgres]"'
    )
