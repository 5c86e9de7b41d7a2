"""Leases in Redis, or in a compatible server that runs Lua. Needs ``withal[redis]``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from hashlib import sha1
from typing import TYPE_CHECKING, Any, final

from withal._core.credentials import url_without_credentials
from withal.lease import redis_scripts as scripts
from withal.lease import table
from withal.lease.errors import LeaseServerError
from withal.lease.leases import Leases
from withal.lease.links import LeaseLinks
from withal.lease.mailbox import Mailbox, MailboxBell
from withal.lease.protocol import Granted, Holder, LeaseOwner, LeaseRequest, Refused, Unreachable

if TYPE_CHECKING:
    from redis.asyncio import Redis

_PREFIX = "withal:lease:"
_INBOX = "withal:lease-wakes:"
_CONNECT_SECONDS = 4.0  # seconds
_MICROSECONDS = 1_000_000  # the unit of the scripts' times is a microsecond
_SETTLING = (
    "the server was started, or replaced by another, less than a ttl ago, and may have lost the "
    "holder; if it stores each write before it answers, pass durable=True"
)


@final
class RedisLeases(Leases):
    """Leases in Redis 6.2 or newer, or in a server that is compatible with it.

    Each step is one script; times are those of the server. Waiters are woken by pub/sub, over one
    connection for all waiters of a process. When no lease is in use, all connections are closed,
    except within ``async with RedisLeases(url) as leases``.

    The fencing token is also at least the server's time in microseconds, so that it increases even
    if the server loses its data, unless its clock is set back meanwhile.

    A server that was started, or promoted from a replica, less than a `ttl` ago may have lost the
    latest leases. So no lease is granted for that long. With `durable` leases are granted
    immediately; that is safe only for a server without replicas that stores each write
    (``appendfsync always``,
    https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/). After a failover to
    a replica, two tasks may still hold the same lease for up to a `ttl`, if some clients still
    reach the old server. The guarantees are described in docs/leases.md.

    Args:
        url: the server, in a form that redis-py accepts: ``redis://``, ``rediss://``, ``unix://``.
        durable: whether the server has all of its leases after a restart.

    Raises:
        ImportError: if redis-py is not installed.
        ValueError: if `url` is not the URL of a Redis server.

    Example:
        >>> leases = RedisLeases("redis://user:password@localhost:6379/0")
        >>> leases
        <withal.lease.RedisLeases redis://localhost:6379/0>
    """

    def __init__(self, url: str, *, durable: bool = False) -> None:
        super().__init__(_Redis(url, durable))


@final
class _Redis:
    """The backend."""

    def __init__(self, url: str, durable: bool) -> None:
        self.server = url_without_credentials(url)
        self._durable = durable
        self._url = url
        self._links = LeaseLinks(self._link)
        self._client()  # raises for an invalid URL

    def _client(self) -> Redis:
        try:
            from redis.asyncio import Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ModuleNotFoundError as error:
            raise ImportError(
                'RedisLeases needs redis-py, which is not installed: pip install "withal[redis]"'
            ) from error
        try:
            return Redis.from_url(
                self._url,
                protocol=2,
                decode_responses=True,
                socket_timeout=None,
                socket_connect_timeout=_CONNECT_SECONDS,
                retry=Retry(NoBackoff(), 0),  # the callers repeat requests themselves
            )
        except ValueError as error:
            raise ValueError(f"{self.server!r} is not the URL of a Redis server: {error}") from None

    def _link(self) -> _Link:
        return _Link(self._client(), self.server)

    def claim_id(self) -> str:
        return self._links.here.mailbox.claim_id()

    def connected(self) -> AbstractAsyncContextManager[object]:
        return self._links.connected()

    def listening(self, request: LeaseRequest) -> AbstractAsyncContextManager[MailboxBell]:
        return self._links.here.mailbox.bell(request.id)

    async def ask(self, request: LeaseRequest) -> Granted | Refused:
        answer = await self._links.here.run(
            scripts.ASK,
            request.key,
            request.id,
            round(request.ttl * _MICROSECONDS),
            request.owner,
            int(request.queues),
            round(table.PLACE_SECONDS * _MICROSECONDS),
            round(table.TURN_SECONDS * _MICROSECONDS),
            int(self._durable),
        )
        if answer[0] == 1:
            return Granted(int(answer[1]))
        _, again_in, ahead, owner, is_settling = answer
        problem = _SETTLING if is_settling else ""
        return Refused(
            min(int(again_in) / _MICROSECONDS, table.REFRESH_SECONDS), ahead, owner, problem
        )

    async def renew(self, request: LeaseRequest, token: int) -> bool:
        ttl = round(request.ttl * _MICROSECONDS)
        run = self._links.here.run
        return bool(await run(scripts.RENEW, request.key, request.id, token, ttl))

    async def withdraw(self, request: LeaseRequest) -> None:
        await self._links.here.run(scripts.WITHDRAW, request.key, request.id, _INBOX)

    async def holders(self) -> tuple[Holder, ...]:
        return await self._links.here.holders()


@final
class _Link:
    """A client with its pool of connections, and the mailbox."""

    def __init__(self, client: Redis, server: str) -> None:
        self._client: Any = client  # its methods are typed as synchronous or asynchronous
        self._server = server
        self.mailbox = Mailbox(self._listen)

    async def aclose(self) -> None:
        try:
            await self.mailbox.aclose()
        finally:
            await self._client.aclose()

    async def run(self, script: str, key: str, *args: str | float) -> Any:
        """Run a script on the keys of a lease."""
        lease = f"{_PREFIX}{{{key}}}"
        keys = lease, f"{lease}:order", f"{lease}:places"
        with self._errors():
            try:
                return await self._client.evalsha(_DIGESTS[script], len(keys), *keys, *args)
            except _no_script():
                return await self._client.eval(script, len(keys), *keys, *args)

    async def holders(self) -> tuple[Holder, ...]:
        found: list[Holder] = []
        with self._errors():
            async for key in self._client.scan_iter(f"{_PREFIX}{{*}}", count=1000, _type="hash"):
                now, row = await self._look(key)
                if row[3] and int(row[2]) > now:
                    token, since, until = map(int, row[:3])
                    owner = LeaseOwner.from_json(row[3])
                    times = (now - since) / _MICROSECONDS, (until - now) / _MICROSECONDS
                    found.append(owner.holder(token, *times))
        return tuple(sorted(found, key=lambda holder: holder.name))

    async def _look(self, key: str) -> tuple[int, list[str]]:
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.time()
            pipeline.hmget(key, "token", "since", "until", "owner")
            (seconds, microseconds), row = await pipeline.execute()
        return seconds * _MICROSECONDS + microseconds, row

    @asynccontextmanager
    async def _listen(self, address: str) -> AsyncGenerator[AsyncIterator[str]]:
        pubsub = self._client.pubsub(ignore_subscribe_messages=True)
        try:
            with self._errors():
                await pubsub.subscribe(_INBOX + address)
                yield self._messages(pubsub)
        finally:
            with suppress(Exception):  # the connection may be broken already
                await pubsub.aclose()

    async def _messages(self, pubsub: Any) -> AsyncGenerator[str]:
        with self._errors():
            while True:
                message = await pubsub.get_message(timeout=None)
                if message is not None:
                    yield message["data"]

    @contextmanager
    def _errors(self) -> Generator[None]:
        """Convert errors of the client: to `Unreachable` if a retry may help."""
        from redis import exceptions

        try:
            yield
        except exceptions.AuthenticationError as error:
            raise self._refusal(error, "check user and password") from error
        except (exceptions.NoPermissionError, exceptions.AuthorizationError) as error:
            problem = "let the user run EVAL, EVALSHA, INFO, TIME, PUBLISH, SUBSCRIBE, SCAN, and "
            problem += f"hashes and sorted sets on keys {_PREFIX}*"
            raise self._refusal(error, problem) from error
        except (
            exceptions.ConnectionError,
            exceptions.TimeoutError,
            exceptions.BusyLoadingError,
            exceptions.ReadOnlyError,
            exceptions.TryAgainError,
            exceptions.ClusterDownError,
            exceptions.MasterDownError,
            OSError,
        ) as error:
            raise Unreachable(str(error) or type(error).__name__) from error
        except exceptions.RedisError as error:
            raise self._refusal(error, _remedy(str(error))) from error

    def _refusal(self, error: Exception, remedy: str) -> LeaseServerError:
        return LeaseServerError(self._server, f"{error}; {remedy}")


def _remedy(problem: str) -> str:
    if "unauthenticated" in problem:  # the error for a request with many arguments
        return "put user and password into the URL"
    return "use a server of Redis 6.2 or newer that runs Lua"


_DIGESTS = {
    script: sha1(script.encode(), usedforsecurity=False).hexdigest()
    for script in (scripts.ASK, scripts.RENEW, scripts.WITHDRAW)
}


def _no_script() -> type[Exception]:
    from redis.exceptions import NoScriptError

    return NoScriptError
