"""Leases in PostgreSQL, with asyncpg or psycopg. Needs the extra ``withal[postgres]``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import final

from withal._core.aliases import Coro
from withal._core.credentials import text_without_credentials, url_without_credentials
from withal.lease import postgres_sql as sql
from withal.lease import table
from withal.lease.drivers import (
    INVALID_DSN,
    Connect,
    Connection,
    QueryError,
    Row,
    Value,
    find_driver,
)
from withal.lease.errors import LeaseServerError
from withal.lease.leases import Leases
from withal.lease.links import LeaseLinks
from withal.lease.mailbox import Mailbox, MailboxBell
from withal.lease.protocol import Granted, Holder, LeaseOwner, LeaseRequest, Refused, Unreachable

_logger = logging.getLogger("withal")

_MAX_CONNECTIONS = 4  # the maximum for one event loop, besides the one that listens

_OPENING_GRACE_SECONDS = (
    0.5  # seconds that an opening gets to finish after its caller was cancelled
)

_UNDEFINED = {"42P01", "42883"}  # a table, a function
_NO_RIGHT = "42501"


@final
class PostgresLeases(Leases):
    """Leases in PostgreSQL 12 or newer: one table, its sequence, and four functions.

    Each step is one call of a function, in a transaction of its own; times are those of the server.
    While leases are in use, a process has at most four connections for any number of leases, and
    one more that listens while a task waits. When none is in use, all are closed, except within
    ``async with PostgresLeases(dsn) as leases``.

    It works through a pooler that assigns connections to transactions, such as PgBouncer. But
    ``LISTEN`` does not work through one (https://www.pgbouncer.org/features.html): pass
    `listen_dsn`, the server's own address. Without it, a waiter sends a request each tenth of a
    second, and a warning is logged once.

    The fencing token comes from a sequence, and increases even if the rows are deleted. After a
    failover to a replica that lagged behind, leases and tokens may be older ones: use synchronous
    replication. The guarantees are described in docs/leases.md.

    The table is created if it is missing, in the user's default schema. If the user may not create
    tables, let an administrator run the output of ``print(PostgresLeases.migration())``.

    Args:
        dsn: the server, as a URL ``postgresql://`` or in another form that the client accepts.
        listen_dsn: the server's direct address, if `dsn` is that of a pooler.

    Raises:
        ImportError: if neither asyncpg nor psycopg is installed.

    Example:
        >>> leases = PostgresLeases("postgresql://user:password@localhost/app")
        >>> leases
        <withal.lease.PostgresLeases postgresql://localhost/app>
    """

    def __init__(self, dsn: str, *, listen_dsn: str | None = None) -> None:
        super().__init__(_Postgres(dsn, listen_dsn or dsn, find_driver()))

    @staticmethod
    def migration() -> str:
        """Return the SQL that creates the table, its sequence and functions; it can be run again.

        Example:
            >>> "CREATE TABLE IF NOT EXISTS withal_leases" in PostgresLeases.migration()
            True
        """
        return sql.MIGRATION.strip() + "\n"


@final
class _Postgres:
    """The backend."""

    def __init__(self, dsn: str, listen_dsn: str, connect: Connect) -> None:
        self.server = _shown(dsn)
        self.dsn = dsn
        self.listen_dsn = listen_dsn
        self.connect = connect
        self._links = LeaseLinks(self._link)
        self._has_warned = False

    def _link(self) -> _Link:
        return _Link(self)

    def warn_of_pooler(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            _logger.warning(
                "leases at %s: LISTEN does not work through the pooler in between, so that waiters "
                "ask again each tenth of a second; pass the server's own address as listen_dsn",
                self.server,
            )

    def claim_id(self) -> str:
        return self._links.here.mailbox.claim_id()

    def connected(self) -> AbstractAsyncContextManager[object]:
        return self._links.connected()

    def listening(self, request: LeaseRequest) -> AbstractAsyncContextManager[MailboxBell]:
        return self._links.here.mailbox.bell(request.id)

    async def ask(self, request: LeaseRequest) -> Granted | Refused:
        ((granted, token, again_in, ahead, owner),) = await self._links.here.rows(
            sql.ASK, request.key, request.id, request.ttl, request.owner, request.queues
        )
        if granted:
            return Granted(token)
        return Refused(min(again_in, table.REFRESH_SECONDS), ahead, owner)

    async def renew(self, request: LeaseRequest, token: int) -> bool:
        rows = self._links.here.rows
        ((renewed,),) = await rows(sql.RENEW, request.key, request.id, token, request.ttl)
        return bool(renewed)

    async def withdraw(self, request: LeaseRequest) -> None:
        await self._links.here.rows(sql.WITHDRAW, request.key, request.id)

    async def holders(self) -> tuple[Holder, ...]:
        rows = await self._links.here.rows(sql.HOLDERS)
        found = [LeaseOwner.from_json(owner).holder(*more) for owner, *more in rows]
        return tuple(sorted(found, key=lambda holder: holder.name))


@final
class _Link:
    """The connections of one event loop, and its mailbox."""

    def __init__(self, backend: _Postgres) -> None:
        self._backend = backend
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(_MAX_CONNECTIONS)
        self._is_closed = False
        self.mailbox = Mailbox(self._listen)

    async def aclose(self) -> None:
        self._is_closed = True
        try:
            await self.mailbox.aclose()
            while self._idle:
                await self._idle.pop().aclose()
        finally:
            self._drop_idle()

    async def rows(self, query: str, *args: Value) -> list[Row]:
        """Run a query; if an idle connection is broken, on a new one."""
        with self._errors():
            while True:
                has_idle = bool(self._idle)
                try:
                    return await self._rows(query, args)
                except Unreachable:
                    if not has_idle:
                        raise
                    self._drop_idle()  # a restart of the server breaks all of them

    async def _rows(self, query: str, args: Sequence[Value]) -> list[Row]:
        """Run a query; create the table first, if it is missing."""
        async with self._connection() as connection:
            try:
                return list(await connection.rows(query, *args))
            except QueryError as error:
                if error.code not in _UNDEFINED:
                    raise
            await self._migrate(connection)
            return list(await connection.rows(query, *args))

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().abort()

    async def _migrate(self, connection: Connection) -> None:
        lock = f"SELECT pg_advisory_xact_lock({sql.LOCK_KEY});"
        try:
            await connection.script(lock + sql.MIGRATION)
        except QueryError as error:
            if error.code != _NO_RIGHT:
                raise
            problem = (
                f"the table {sql.TABLE} or its functions are missing, and this user may not create "
                f"them ({error}); let an administrator run the SQL of PostgresLeases.migration()"
            )
            raise LeaseServerError(self._backend.server, problem) from error.__cause__

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Connection]:
        """Yield a connection. It is closed if the block raises."""
        async with self._free:
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                yield connection
            except BaseException:
                connection.abort()
                raise
            if self._is_closed:
                await connection.aclose()
            else:
                self._idle.append(connection)

    async def _connect(self) -> Connection:
        return await _open(self._backend.connect(self._backend.dsn))

    @asynccontextmanager
    async def _listen(self, address: str) -> AsyncGenerator[AsyncIterator[str]]:
        with self._errors():
            connection = await _open(self._backend.connect(self._backend.listen_dsn))
            try:
                ((process,),) = await connection.rows("SELECT pg_backend_pid()")
                if process != connection.announced_process:
                    self._backend.warn_of_pooler()
                    raise Unreachable("LISTEN does not work through a pooler")
                yield await connection.listen(sql.CHANNEL + address)
            finally:
                connection.abort()

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except QueryError as error:
            problem = f"{error}; {_REMEDIES.get(error.code, 'see the log of the server')}"
            raise LeaseServerError(self._backend.server, problem) from error.__cause__


async def _open(connecting: Coro[Connection]) -> Connection:
    """Open a connection; when cancelled, wait a moment for the opening, and close the connection.

    The clients do not clean up if an opening is cancelled in the middle.
    """
    opening = asyncio.ensure_future(connecting)
    try:
        await asyncio.wait((opening,))
    except asyncio.CancelledError:
        await asyncio.wait((opening,), timeout=_OPENING_GRACE_SECONDS)
        if not opening.cancel() and not opening.cancelled() and opening.exception() is None:
            await opening.result().aclose()
        raise
    return opening.result()


_REMEDIES = {
    INVALID_DSN: "pass one like postgresql://host:5432/database, with user:password@ before host",
    "28P01": "check user and password",
    "28000": "check user and password, and pg_hba.conf",
    "3D000": "create the database, or name another",
    "3F000": "create a schema, or set search_path",
    _NO_RIGHT: f"let the user select from, insert into, update and delete from {sql.TABLE}, use "
    f"the sequence {sql.TABLE}_seq, and execute the functions {sql.TABLE}_*",
}


def _shown(dsn: str) -> str:
    """Return a DSN without secrets; of ``key=value`` pairs only host, port and database."""
    if "://" in dsn:
        return url_without_credentials(dsn)
    pairs = [pair for pair in dsn.split() if pair.partition("=")[0] in {"host", "port", "dbname"}]
    return text_without_credentials(" ".join(pairs)) or "the PostgreSQL server"
