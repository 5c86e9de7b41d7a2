"""The findings, and what was found safe: what each script shows, and what each audit must find."""

from __future__ import annotations

from corpus.table import Service

from findings.finding import CPYTHON, Finding, Safe
from withal.audit import Category

_EACH_PYTHON = ("3.11", "3.12", "3.13")

FINDINGS = (
    Finding(
        name="asyncio_start_server",
        library=CPYTHON,
        version="3.13.0",
        line="asyncio/base_events.py, `create_server`: the last `await tasks.sleep(0)`",
        left="`start_server` that is cancelled as it returns leaves a server that listens",
        suffered="the port still accepts connections, and cannot be bound again; no code has the "
        "server, so none can close it. aiohttp's `TCPSite`, `websockets.serve` and hypercorn "
        "start their servers with it. uvloop is not affected",
        mended="`create_server` closed the server when this `sleep(0)` is cancelled",
        pythons=_EACH_PYTHON,
        finds=(Category.TRANSPORT,),
    ),
    Finding(
        name="asyncio_start_tls",
        library=CPYTHON,
        version="3.13.0",
        line="asyncio/streams.py, `StreamWriter.start_tls`",
        left="after `start_tls` is cancelled, `close()` and `wait_closed()` never end",
        suffered="a connection whose handshake times out cannot be closed: "
        "`await writer.wait_closed()` waits for ever",
        mended="`loop.start_tls` reported the lost connection to the stream's protocol when its "
        "handshake is cancelled",
        pythons=_EACH_PYTHON,
        finds=(Category.HANG,),
    ),
    Finding(
        name="asyncpg_copy",
        library="asyncpg",
        version="0.32.0",
        line="asyncpg/protocol/protocol.pyx, `copy_out`: `except (Exception, CancelledError)`",
        left="`copy_from_query` whose output fails on the last part never comes back to its pool",
        suffered="an export to a full disk does not raise: it waits for ever in the pool's "
        "`release`, and the pool has one connection less",
        mended="`copy_out` requested the server's cancellation only while the copy is not done",
        service=Service.POSTGRESQL,
    ),
    Finding(
        name="psycopg_commit",
        library="psycopg",
        version="3.3.9",
        line="psycopg/connection_async.py:199, `AsyncConnection.__aexit__`: `await self.commit()`",
        left="a commit that fails or is cancelled at the end of `async with` leaves the "
        "connection open",
        suffered="a deferred constraint that fails, or a timeout during the commit, leaves "
        "an open session at the server until garbage is collected",
        mended="`close()` stood in a `finally` around the commit",
        more=("psycopg[binary]==3.3.9",),
        service=Service.POSTGRESQL,
        finds=(Category.DROPPED,),
    ),
    Finding(
        name="tornado_lock",
        library="tornado",
        version="6.6.1",
        line="tornado/locks.py, `Semaphore.release` and `acquire`",
        left="a waiter that is cancelled as it is woken keeps the `Lock` or `Semaphore` for ever",
        suffered="no task holds the lock, and none gets it again: all that need it wait for ever",
        mended="`acquire` were a coroutine that released again when it is cancelled after its "
        "future is done, as `asyncio.Lock` does",
        finds=(Category.SLOT, Category.STARVATION),
    ),
    Finding(
        name="tornado_queue",
        library="tornado",
        version="6.6.1",
        line="tornado/queues.py, `Queue.put_nowait`: `future_set_result_unless_cancelled`",
        left="`Queue.get` that is cancelled as an item comes loses the item",
        suffered="work that was queued is never done, and `join()` waits for ever",
        mended="`put_nowait` woke the getter and left the item in the queue, as `asyncio.Queue` "
        "does",
        finds=(Category.SLOT,),
    ),
    Finding(
        name="tornado_condition",
        library="tornado",
        version="6.6.1",
        line="tornado/locks.py, `Condition.notify`",
        left="a notification of `Condition` is lost with the waiter that it woke",
        suffered="the other waiters sleep on, although there is something for one of them to do",
        mended="a waiter that is cancelled after its wake-up notified the next one",
        finds=(Category.STARVATION,),
    ),
    Finding(
        name="redis_lock",
        library="redis",
        version="8.1.0",
        line="redis/asyncio/lock.py:224, `Lock.acquire`: `await self.do_acquire(token)`",
        left="`Lock.acquire` that is cancelled while it waits for the answer leaves the lock held",
        suffered="`async with client.lock(...)` was never entered, and its key stays: by default "
        "for ever, else until its timeout. Each process that wants the lock waits for it",
        mended="`acquire` kept its token when it is cancelled, and deleted the key if it has it",
        near="https://github.com/redis/redis-py/issues/3847",
        service=Service.REDIS,
        finds=(Category.WRONG_ANSWER,),
        may_find=(Category.TRANSPORT,),
    ),
    Finding(
        name="redis_exit",
        library="redis",
        version="8.1.0",
        line="redis/asyncio/client.py, `Redis.__aexit__`: the first `await asyncio.shield`",
        left="`async with Redis()` that is cancelled at its end leaves its connections open",
        suffered="connections stay open at the server until garbage is collected",
        mended="the counter were changed without an `await`, or both steps stood in one shield",
        service=Service.REDIS,
        finds=(Category.COLLECTED,),
    ),
    Finding(
        name="uvicorn_serve",
        library="uvicorn",
        version="0.54.0",
        line="uvicorn/server.py, `Server._serve`: `shutdown` is not in a `finally`",
        left="`Server.serve()` that is cancelled leaves the port open, and skips the shutdown",
        suffered="a server in a task group or a timeout goes on answering after it has ended; the "
        "application's lifespan never hears of the shutdown, so that nothing of it is closed",
        mended="`_serve` called `shutdown` when `main_loop` or `startup` is cancelled, too",
        finds=(Category.TRANSPORT, Category.TASK),
    ),
    Finding(
        name="aiosmtplib_answers",
        library="aiosmtplib",
        version="5.1.3",
        line="aiosmtplib/protocol.py, `SMTPProtocol.read_response`: its `finally`",
        left="after a command that is cancelled, later commands get the answers of earlier ones",
        suffered="a recipient that the server refuses is reported as accepted",
        near="https://github.com/cole/aiosmtplib/pull/350",
        mended="a cancelled command closed the connection, as one that times out should",
        finds=(Category.WRONG_ANSWER,),
        may_find=(Category.CLEANUP,),
    ),
    Finding(
        name="pyzmq_receive",
        library="pyzmq",
        version="27.3.0",
        line="zmq/_future.py, `_AsyncSocket._add_recv_event`",
        left="`recv` that is cancelled as a message comes loses the message",
        suffered="with `asyncio.timeout` around `recv`, messages are lost now and then",
        mended="`recv` were a coroutine that puts a message back when it is cancelled after its "
        "future is done",
        near="https://github.com/zeromq/pyzmq/issues/1925",
        finds=(Category.SLOT,),
    ),
    Finding(
        name="anyio_receive",
        library="anyio",
        version="4.16.0",
        line="anyio/streams/memory.py, `MemoryObjectReceiveStream.receive`",
        left="`receive` whose task is cancelled as an item comes loses the item",
        suffered="with `asyncio.timeout`, `asyncio.wait_for` or `asyncio.TaskGroup` around "
        "`receive`, items are lost now and then; with anyio's own scopes they are not",
        mended="`receive` put an item back that it has when it is cancelled",
        known="https://github.com/agronholm/anyio/pull/595",
        finds=(Category.SLOT,),
    ),
    Finding(
        name="nats_flush",
        library="nats-py",
        version="2.16.0",
        line="nats/aio/client.py:1875, `_process_pong`: `future.set_result(True)`",
        left="after a `flush` that is cancelled, the client receives nothing any more",
        suffered="the reading task ends with an `InvalidStateError`: "
        "subscriptions are silent, and `is_connected` is still true",
        mended="`_process_pong` looked whether the future is done",
        near="https://github.com/nats-io/nats.py/issues/624",
        service=Service.NATS,
        finds=(Category.SLOT,),
    ),
    Finding(
        name="aiomcache_answers",
        library="aiomcache",
        version="0.8.2",
        line="aiomcache/client.py, `acquire`: `except Exception`",
        left="after a command that is cancelled, others get its answer",
        suffered="a key's value is returned for another key. aiocache uses it for memcached",
        mended="`acquire` closed the connection for each `BaseException`",
        known="https://github.com/aio-libs/aiomcache/issues/489",
        service=Service.MEMCACHED,
        finds=(Category.WRONG_ANSWER,),
    ),
    Finding(
        name="httpx_slot",
        library="httpcore",
        version="1.0.9",
        line="httpcore/_async/connection_pool.py, `handle_async_request`: a connection that is "
        "assigned and not used yet",
        left="a request of httpx that is cancelled before it uses its connection keeps the "
        "connection for ever",
        suffered="each time, the pool has one connection less, until all requests fail with "
        "`PoolTimeout`. httpcore2, its fork, is safe",
        mended="the pool dropped connections that no request has and that never connected",
        known="https://github.com/encode/httpcore/issues/1093",
        more=("httpx==0.28.1",),
        finds=(Category.SLOT,),
    ),
    Finding(
        name="aioftp_answers",
        library="aioftp",
        version="0.28.3",
        line="aioftp/client.py:399, `BaseClient.command`: `await self.parse_response()`",
        left="after a command that is cancelled, later commands get the answers of earlier ones",
        suffered="a command that the server refuses is reported as done",
        mended="a command that is cancelled after it was sent closed the connection",
        finds=(Category.WRONG_ANSWER,),
    ),
    Finding(
        name="asyncssh_sftp",
        library="asyncssh",
        version="2.24.1",
        line="asyncssh/connection.py:5828, `start_sftp_client`: nothing closes `writer` again",
        left="`start_sftp_client` that is cancelled leaves its session open at the server",
        suffered="the sessions of a connection are used up: OpenSSH allows 10, and refuses the "
        "next one",
        mended="the channel were closed when the start of the SFTP client fails or is cancelled",
        finds=(Category.WRONG_ANSWER, Category.TASK),
    ),
    Finding(
        name="aiomqtt_connect",
        library="aiomqtt",
        version="2.5.1",
        line="aiomqtt/client.py:787, `Client.__aenter__`: `except MqttError`",
        left="`async with Client` that is cancelled as it connects leaves its connection open",
        suffered="a connect that times out stays connected at the broker, and its loop runs on; "
        "the client object cannot be entered again, as its lock is held",
        mended="`__aenter__` disconnected and released its lock for each `BaseException`",
        finds=(Category.TRANSPORT, Category.TASK),
        may_find=(Category.CLEANUP, Category.COLLECTED, Category.DESCRIPTOR),
    ),
    Finding(
        name="nats_connect",
        library="nats-py",
        version="2.16.0",
        line="nats/aio/client.py:629, `Client.connect`: `except (OSError, errors.Error, "
        "asyncio.TimeoutError)`",
        left="`connect` that is cancelled leaves its connection open",
        suffered="connects that time out stay open at the server until garbage is collected",
        mended="`connect` closed its transport for each `BaseException`",
        service=Service.NATS,
        finds=(Category.COLLECTED,),
    ),
    Finding(
        name="hypercorn_startup",
        library="hypercorn",
        version="0.18.0",
        line="hypercorn/asyncio/run.py:85, `worker_serve`: `await lifespan.wait_for_startup()`",
        left="`serve` that is cancelled as the application starts leaves the lifespan running",
        suffered="the application has opened what it needs, is never told to shut down, and its "
        "task waits for ever",
        mended="the startup stood in the same `try` as the rest, whose `finally` cancels the task",
        finds=(Category.TASK,),
        may_find=(Category.TRANSPORT,),
    ),
    Finding(
        name="aiojobs_close",
        library="aiojobs",
        version="1.4.0",
        line="aiojobs/_scheduler.py:190, `Scheduler.close`: `if self._closed: return`",
        left="a `close` of a scheduler that is cancelled leaves its tasks, and cannot be repeated",
        suffered="a shutdown that times out leaves a task that waits for ever, and jobs that were "
        "not cancelled yet; `close` again, as `async with` does, returns at once",
        mended="`close` went on where a cancelled one has stopped",
        near="https://github.com/aio-libs/aiojobs/issues/606",
        finds=(Category.TASK,),
    ),
    Finding(
        name="aiofiles_close",
        library="aiofiles",
        version="25.1.0",
        line="aiofiles/threadpool/utils.py:43, `_make_delegate_method`: `run_in_executor`",
        left="a file whose closing is cancelled stays open; one whose opening is cancelled is "
        "dropped",
        suffered="what was written is not on the disk, although `async with` has ended, as long as "
        "something refers to the file",
        mended="`__aexit__` waited for the thread that closes the file, also when it is cancelled",
        known="https://github.com/Tinche/aiofiles/issues/165",
        finds=(Category.DROPPED,),
        may_find=(Category.CLEANUP, Category.COLLECTED),
    ),
    Finding(
        name="anyio_file",
        library="anyio",
        version="4.16.0",
        line="anyio/_core/_fileio.py, `AsyncFile.aclose`",
        left="a file whose closing is cancelled by its task stays open",
        suffered="with `asyncio.timeout` around it, what was written is not on the disk, although "
        "`async with` has ended, as long as something refers to the file",
        mended="`aclose` waited for its thread, also when the task is cancelled without a scope",
        finds=(Category.DROPPED, Category.COLLECTED),
        may_find=(Category.CLEANUP,),
    ),
    Finding(
        name="aiosqlite_connect",
        library="aiosqlite",
        version="0.22.1",
        line="aiosqlite/core.py:168, `Connection._connect`: `self._connection = await future`",
        left="`connect` that is cancelled leaves the database open",
        suffered="the file stays open until garbage is collected",
        mended="the thread kept the connection that it has opened, and closed it as it stops",
        known="https://github.com/omnilib/aiosqlite/issues/259",
        finds=(Category.COLLECTED,),
    ),
)
"""In the order of the page: CPython first, those that need no cancellation next."""

SAFE = (
    Safe(
        name="asyncio_subprocess",
        library=CPYTHON,
        version="3.13.0",
        audited="`create_subprocess_exec` with pipes, `communicate`, and `kill` in a `finally`",
    ),
    Safe(
        name="aiohttp_client",
        library="aiohttp",
        version="3.14.5",
        audited="a request of a session with one connection",
    ),
    Safe(
        name="websockets_client",
        library="websockets",
        version="17.4",
        audited="`connect`, `send` and `recv`",
    ),
    Safe(
        name="httpcore2_slot",
        library="httpcore2",
        version="2.16.2",
        audited="two requests of a pool with one connection",
        more=("anyio==4.16.0",),
    ),
    Safe(
        name="asyncpg_pool",
        library="asyncpg",
        version="0.32.0",
        audited="a transaction and a cursor on a pool of one connection",
        service=Service.POSTGRESQL,
    ),
    Safe(
        name="psycopg_pool_query",
        library="psycopg-pool",
        version="3.3.3",
        audited="a query on a pool of one connection",
        more=("psycopg[binary]==3.3.9",),
        service=Service.POSTGRESQL,
    ),
    Safe(
        name="sqlalchemy_session",
        library="SQLAlchemy",
        version="2.1.9",
        audited="a transaction of an engine with one connection of asyncpg",
        more=("greenlet==3.5.6", "asyncpg==0.32.0"),
        service=Service.POSTGRESQL,
    ),
    Safe(
        name="redis_pipeline",
        library="redis",
        version="8.1.0",
        audited="a pipeline of two commands, and a command after it",
        service=Service.REDIS,
    ),
    Safe(
        name="anyio_lock",
        library="anyio",
        version="4.16.0",
        audited="a `Lock` that others wait for",
    ),
    Safe(
        name="aiorwlock_writer",
        library="aiorwlock",
        version="1.5.1",
        audited="a writer that waits for a reader",
    ),
    Safe(
        name="filelock_async",
        library="filelock",
        version="4.3.1",
        audited="an `AsyncFileLock` that another object holds",
    ),
    Safe(
        name="janus_queue",
        library="janus",
        version="2.0.0",
        audited="`get` of a queue as an item comes",
    ),
    Safe(
        name="aiolimiter_limit",
        library="aiolimiter",
        version="1.3.0",
        audited="a limiter whose only token is taken",
    ),
    Safe(
        name="async_lru_cache",
        library="async-lru",
        version="2.4.0",
        audited="a cached coroutine that is asked again",
    ),
    Safe(
        name="aiomysql_pool",
        library="aiomysql",
        version="0.3.2",
        audited="a query on a pool of one connection",
        service=Service.MARIADB,
    ),
    Safe(
        name="asyncmy_pool",
        library="asyncmy",
        version="0.2.18",
        audited="a query on a pool of one connection",
        service=Service.MARIADB,
    ),
    Safe(
        name="valkey_command",
        library="valkey",
        version="6.2.0",
        audited="a command of a client with one connection",
        service=Service.REDIS,
    ),
    Safe(
        name="coredis_command",
        library="coredis",
        version="6.9.0",
        audited="a command of a client of a pool",
        service=Service.REDIS,
    ),
    Safe(
        name="aiocache_lock",
        library="aiocache",
        version="0.12.3",
        audited="a `RedLock` that another user holds",
    ),
    Safe(
        name="aiojobs_scheduler",
        library="aiojobs",
        version="1.4.0",
        audited="a job of a scheduler that has room for one",
    ),
    Safe(
        name="asyncstdlib_cache",
        library="asyncstdlib",
        version="3.14.0",
        audited="a `cached_property` that another task computes",
    ),
    Safe(
        name="watchfiles_awatch",
        library="watchfiles",
        version="1.3.0",
        audited="`awatch` of a folder until a file in it changes",
    ),
)
"""Audited with one cancellation at each suspension, early and late: nothing was found."""


def chosen(words: tuple[str, ...]) -> tuple[Finding | Safe, ...]:
    """Return the entries that have one of the words in name or library, or all for no words."""
    entries: tuple[Finding | Safe, ...] = (*FINDINGS, *SAFE)
    if not words:
        return entries
    return tuple(
        entry for entry in entries if any(word in f"{entry.name} {entry.library}" for word in words)
    )
