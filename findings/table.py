"""The findings, and the scenarios without findings, with what each audit must find."""

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
        location="asyncio/base_events.py, `create_server`: the last `await tasks.sleep(0)`",
        fault="cancelling `start_server` just before it returns leaves a listening server",
        consequence=(
            "The port still accepts connections and cannot be bound again. The program has no "
            "reference to the server, so it cannot close it. aiohttp's `TCPSite`, "
            "`websockets.serve` and hypercorn start their servers this way. uvloop is not "
            "affected."
        ),
        fix="Close the server in `create_server` if this `sleep(0)` is cancelled.",
        pythons=_EACH_PYTHON,
        finds=(Category.TRANSPORT,),
    ),
    Finding(
        name="asyncio_start_tls",
        library=CPYTHON,
        version="3.13.0",
        location="asyncio/streams.py, `StreamWriter.start_tls`",
        fault="after a cancelled `start_tls`, `wait_closed()` never returns",
        consequence=(
            "A connection whose TLS handshake times out cannot be closed: `await "
            "writer.wait_closed()` waits forever."
        ),
        fix=(
            "Report the lost connection to the stream's protocol if the handshake in "
            "`loop.start_tls` is cancelled."
        ),
        pythons=_EACH_PYTHON,
        finds=(Category.HANG,),
    ),
    Finding(
        name="asyncpg_copy",
        library="asyncpg",
        version="0.32.0",
        location="asyncpg/protocol/protocol.pyx, `copy_out`: `except (Exception, CancelledError)`",
        fault=(
            "`copy_from_query` never returns its connection to the pool if its output fails on "
            "the last part"
        ),
        consequence=(
            "An export to a full disk does not raise an error. It waits forever in the pool's "
            "`release`, and the pool has one connection less."
        ),
        fix="Request a cancellation at the server only while the copy is in progress.",
        service=Service.POSTGRESQL,
    ),
    Finding(
        name="aiokafka_consumer",
        library="aiokafka",
        version="0.14.0",
        location=(
            "aiokafka/consumer/group_coordinator.py:180, `NoGroupCoordinator.close`: "
            "`await self._reset_committed_task`"
        ),
        fault="`stop` of a consumer without topics raises `CancelledError` and stops nothing else",
        consequence=(
            "The task that stops the consumer ends as if it had been cancelled. Two tasks of the "
            "consumer remain, and calling `stop` again returns immediately."
        ),
        fix="Suppress the `CancelledError` of the task that `close` cancels.",
        report="https://github.com/aio-libs/aiokafka/issues/647",
        also_install=("confluent-kafka==2.16.1",),
    ),
    Finding(
        name="psycopg_commit",
        library="psycopg",
        version="3.3.9",
        location=(
            "psycopg/connection_async.py:199, `AsyncConnection.__aexit__`: `await self.commit()`"
        ),
        fault=(
            "a commit that fails or is cancelled at the end of `async with` leaves the connection"
            " open"
        ),
        consequence=(
            "A deferred constraint that fails, or a timeout during the commit, leaves an open "
            "session at the server until the connection is garbage-collected."
        ),
        fix="Call `close()` in a `finally` around the commit.",
        also_install=("psycopg[binary]==3.3.9",),
        service=Service.POSTGRESQL,
        finds=(Category.DROPPED,),
    ),
    Finding(
        name="tornado_lock",
        library="tornado",
        version="6.6.1",
        location="tornado/locks.py, `Semaphore.release` and `acquire`",
        fault=(
            "a waiter that is cancelled while it is woken holds the `Lock` or `Semaphore` forever"
        ),
        consequence=(
            "No task holds the lock and no task can acquire it: every task that needs it waits "
            "forever."
        ),
        fix=(
            "Make `acquire` a coroutine that releases the lock if it is cancelled after its "
            "future is done, as `asyncio.Lock` does."
        ),
        finds=(Category.SLOT, Category.STARVATION),
    ),
    Finding(
        name="tornado_queue",
        library="tornado",
        version="6.6.1",
        location="tornado/queues.py, `Queue.put_nowait`: `future_set_result_unless_cancelled`",
        fault="`Queue.get` loses the item if it is cancelled when the item arrives",
        consequence="Queued work is never done, and `join()` waits forever.",
        fix=(
            "Wake the getter in `put_nowait` and leave the item in the queue, as `asyncio.Queue` "
            "does."
        ),
        finds=(Category.SLOT,),
    ),
    Finding(
        name="tornado_condition",
        library="tornado",
        version="6.6.1",
        location="tornado/locks.py, `Condition.notify`",
        fault="`Condition` loses a notification if the waiter that it wakes is cancelled",
        consequence="The other waiters keep waiting, although there is work for one of them.",
        fix="Notify the next waiter if a waiter is cancelled after it was woken.",
        finds=(Category.STARVATION,),
    ),
    Finding(
        name="redis_lock",
        library="redis",
        version="8.1.0",
        location="redis/asyncio/lock.py:224, `Lock.acquire`: `await self.do_acquire(token)`",
        fault="`Lock.acquire` leaves the lock held if it is cancelled while it waits for the reply",
        consequence=(
            "The body of `async with client.lock(...)` never runs and its key remains: without a "
            "limit by default, or until its timeout. Every process that wants the lock waits for "
            "it."
        ),
        fix="Keep the token if `acquire` is cancelled, and delete the key if it has this token.",
        related="https://github.com/redis/redis-py/issues/3847",
        service=Service.REDIS,
        finds=(Category.WRONG_ANSWER,),
        may_find=(Category.TRANSPORT,),
    ),
    Finding(
        name="redis_exit",
        library="redis",
        version="8.1.0",
        location="redis/asyncio/client.py, `Redis.__aexit__`: the first `await asyncio.shield`",
        fault="`async with Redis()` leaves its connections open if its exit is cancelled",
        consequence="The connections stay open at the server until they are garbage-collected.",
        fix="Change the counter without an `await`, or shield both steps together.",
        service=Service.REDIS,
        finds=(Category.COLLECTED,),
    ),
    Finding(
        name="uvicorn_serve",
        library="uvicorn",
        version="0.54.0",
        location="uvicorn/server.py, `Server._serve`: `shutdown` is not in a `finally`",
        fault="cancelling `Server.serve()` leaves the port open and skips the shutdown",
        consequence=(
            "A server in a task group or a timeout continues to answer after it has ended. The "
            "application's lifespan gets no shutdown event, so its resources are not closed."
        ),
        fix="Call `shutdown` also if `main_loop` or `startup` is cancelled.",
        finds=(Category.TRANSPORT, Category.TASK),
    ),
    Finding(
        name="aiosmtplib_answers",
        library="aiosmtplib",
        version="5.1.3",
        location="aiosmtplib/protocol.py, `SMTPProtocol.read_response`: its `finally`",
        fault="after a cancelled command, later commands receive the replies to earlier ones",
        consequence="A recipient that the server refuses is reported as accepted.",
        related="https://github.com/cole/aiosmtplib/pull/350",
        fix="Close the connection if a command is cancelled, as for a command that times out.",
        finds=(Category.WRONG_ANSWER,),
        may_find=(Category.CLEANUP,),
    ),
    Finding(
        name="pyzmq_receive",
        library="pyzmq",
        version="27.3.0",
        location="zmq/_future.py, `_AsyncSocket._add_recv_event`",
        fault="`recv` loses the message if it is cancelled when the message arrives",
        consequence="With `asyncio.timeout` around `recv`, messages are sometimes lost.",
        fix=(
            "Make `recv` a coroutine that puts the message back if it is cancelled after its "
            "future is done."
        ),
        related="https://github.com/zeromq/pyzmq/issues/1925",
        finds=(Category.SLOT,),
    ),
    Finding(
        name="anyio_receive",
        library="anyio",
        version="4.16.0",
        location="anyio/streams/memory.py, `MemoryObjectReceiveStream.receive`",
        fault="`receive` loses the item if its task is cancelled when the item arrives",
        consequence=(
            "With `asyncio.timeout`, `asyncio.wait_for` or `asyncio.TaskGroup` around `receive`, "
            "items are sometimes lost. anyio's own cancel scopes are not affected."
        ),
        fix="Put a received item back if `receive` is cancelled.",
        report="https://github.com/agronholm/anyio/pull/595",
        finds=(Category.SLOT,),
    ),
    Finding(
        name="nats_flush",
        library="nats-py",
        version="2.16.0",
        location="nats/aio/client.py:1875, `_process_pong`: `future.set_result(True)`",
        fault="after a cancelled `flush`, the client receives nothing",
        consequence=(
            "The reading task ends with an `InvalidStateError`. Subscriptions receive nothing, "
            "but `is_connected` is still true."
        ),
        fix="Check in `_process_pong` whether the future is done.",
        related="https://github.com/nats-io/nats.py/issues/624",
        service=Service.NATS,
        finds=(Category.SLOT,),
    ),
    Finding(
        name="aiomcache_answers",
        library="aiomcache",
        version="0.8.2",
        location="aiomcache/client.py, `acquire`: `except Exception`",
        fault="after a cancelled command, other commands receive its reply",
        consequence=(
            "The value of one key is returned for another key. aiocache uses aiomcache for "
            "memcached."
        ),
        fix="Close the connection in `acquire` for each `BaseException`.",
        report="https://github.com/aio-libs/aiomcache/issues/489",
        service=Service.MEMCACHED,
        finds=(Category.WRONG_ANSWER,),
    ),
    Finding(
        name="httpx_slot",
        library="httpcore",
        version="1.0.9",
        location="httpcore/_async/connection_pool.py, `handle_async_request`: a connection that is "
        "assigned and not used yet",
        fault=(
            "a request of httpx that is cancelled before it uses its connection keeps the "
            "connection forever"
        ),
        consequence=(
            "Each time, the pool has one connection less, until all requests fail with "
            "`PoolTimeout`. httpcore2, a fork, is safe."
        ),
        fix="Remove connections from the pool that have no request and never connected.",
        report="https://github.com/encode/httpcore/issues/1093",
        also_install=("httpx==0.28.1",),
        finds=(Category.SLOT,),
    ),
    Finding(
        name="aioftp_answers",
        library="aioftp",
        version="0.28.3",
        location="aioftp/client.py:399, `BaseClient.command`: `await self.parse_response()`",
        fault="after a cancelled command, later commands receive the replies to earlier ones",
        consequence="A command that the server refuses is reported as done.",
        fix="Close the connection if a command is cancelled after it was sent.",
        finds=(Category.WRONG_ANSWER,),
    ),
    Finding(
        name="asyncssh_sftp",
        library="asyncssh",
        version="2.24.1",
        location="asyncssh/connection.py:5828, `start_sftp_client`: nothing closes `writer` again",
        fault="cancelling `start_sftp_client` leaves its session open at the server",
        consequence=(
            "The connection runs out of sessions: OpenSSH allows 10 and refuses the next one."
        ),
        fix="Close the channel if the start of the SFTP client fails or is cancelled.",
        finds=(Category.WRONG_ANSWER, Category.TASK),
    ),
    Finding(
        name="aiomqtt_connect",
        library="aiomqtt",
        version="2.5.1",
        location="aiomqtt/client.py:787, `Client.__aenter__`: `except MqttError`",
        fault="`async with Client` leaves its connection open if it is cancelled while it connects",
        consequence=(
            "A connection attempt that times out stays connected at the broker, and its network "
            "loop continues to run. The client object cannot be entered again, because its lock "
            "is held."
        ),
        fix="Disconnect and release the lock in `__aenter__` for each `BaseException`.",
        related="https://github.com/empicano/aiomqtt/issues/284",
        finds=(Category.TRANSPORT, Category.TASK),
        may_find=(Category.CLEANUP, Category.COLLECTED, Category.DESCRIPTOR),
    ),
    Finding(
        name="nats_connect",
        library="nats-py",
        version="2.16.0",
        location="nats/aio/client.py:629, `Client.connect`: `except (OSError, errors.Error, "
        "asyncio.TimeoutError)`",
        fault="cancelling `connect` leaves its connection open",
        consequence=(
            "Connections that time out stay open at the server until they are garbage-collected."
        ),
        fix="Close the transport in `connect` for each `BaseException`.",
        service=Service.NATS,
        finds=(Category.COLLECTED,),
    ),
    Finding(
        name="hypercorn_startup",
        library="hypercorn",
        version="0.18.0",
        location="hypercorn/asyncio/run.py:85, `worker_serve`: `await lifespan.wait_for_startup()`",
        fault="cancelling `serve` while the application starts leaves the lifespan task running",
        consequence=(
            "The application's resources stay open: it gets no shutdown event, and its task waits"
            " forever."
        ),
        fix="Move the startup into the `try` whose `finally` cancels the task.",
        finds=(Category.TASK,),
        may_find=(Category.TRANSPORT,),
    ),
    Finding(
        name="aiojobs_close",
        library="aiojobs",
        version="1.4.0",
        location="aiojobs/_scheduler.py:190, `Scheduler.close`: `if self._closed: return`",
        fault="cancelling `Scheduler.close` leaves its tasks running, and it cannot be repeated",
        consequence=(
            "A shutdown that times out leaves a task that waits forever, and jobs that were not "
            "cancelled yet. Calling `close` again, as `async with` does, returns immediately."
        ),
        fix="Continue a cancelled `close` when it is called again.",
        related="https://github.com/aio-libs/aiojobs/issues/606",
        finds=(Category.TASK,),
    ),
    Finding(
        name="mcp_stdio",
        library="mcp",
        version="2.3.0",
        location="mcp/client/stdio.py, `stdio_client`: `with anyio.CancelScope(shield=True)`",
        fault="cancelling `stdio_client` while it closes leaves its server process running",
        consequence=(
            "A timeout around the client does not end before the server does. A server that does "
            "not end when its input ends is never terminated. A comment in the code says that "
            "`task.cancel()` has this effect; anyio's own cancel scopes do not."
        ),
        fix="Run the shutdown in a task of its own and wait for it, also if the wait is cancelled.",
        finds=(Category.HANG, Category.PROCESS, Category.DESCRIPTOR, Category.TASK),
    ),
    Finding(
        name="aio_pika_robust",
        library="aio-pika",
        version="10.2.1",
        location="aio_pika/robust_connection.py:238, `connect`: `await self.__fail_fast_future`",
        fault="cancelling `connect_robust` leaves its connection task running",
        consequence=(
            "After a timeout, the task continues to connect and to reconnect, and its connection "
            "stays open. The program has no reference to it, so it cannot close it. If the task is "
            "waiting for an answer when `asyncio.run` ends, the program does not end, because the "
            "task continues after a cancellation."
        ),
        fix="Close the connection in `connect_robust` for each `BaseException`.",
        related="https://github.com/mosquito/aio-pika/issues/414",
        service=Service.RABBITMQ,
        finds=(Category.TRANSPORT, Category.TASK),
    ),
    Finding(
        name="aiormq_connect",
        library="aiormq",
        version="7.2.4",
        location="aiormq/abc.py:42, `TaskWrapper.__inner`: `return await self.task`",
        fault="`connect` leaves its connection open if it is cancelled when the connection is made",
        consequence=(
            "A connection that is made when a timeout expires stays open, with three tasks. "
            "aio-pika connects with it."
        ),
        fix="Close the connection in `connect` for each `BaseException`.",
        also_install=("aio-pika==10.2.1",),
        service=Service.RABBITMQ,
        finds=(Category.TRANSPORT, Category.TASK),
    ),
    Finding(
        name="aiokafka_stop",
        library="aiokafka",
        version="0.14.0",
        location="aiokafka/producer/producer.py:369, `stop`: `self._closed = True`",
        fault="a producer whose `stop` is cancelled keeps running, and cannot be stopped again",
        consequence=(
            "Two tasks and the connections of the producer remain. Calling `stop` again returns "
            "immediately."
        ),
        fix="Stop the sender and the client in a `finally`, or let a second `stop` continue.",
        also_install=("confluent-kafka==2.16.1",),
        finds=(Category.DROPPED, Category.TASK, Category.SWALLOWED),
        may_find=(Category.COLLECTED, Category.TRANSPORT, Category.CLEANUP),
    ),
    Finding(
        name="aiofiles_close",
        library="aiofiles",
        version="25.1.0",
        location="aiofiles/threadpool/utils.py:43, `_make_delegate_method`: `run_in_executor`",
        fault="a file stays open if its close is cancelled, and is lost if its open is cancelled",
        consequence=(
            "Written data is not on the disk after the end of `async with`, as long as a "
            "reference to the file exists."
        ),
        fix="Wait in `__aexit__` for the thread that closes the file, also if it is cancelled.",
        report="https://github.com/Tinche/aiofiles/issues/165",
        finds=(Category.DROPPED,),
        may_find=(Category.CLEANUP, Category.COLLECTED),
    ),
    Finding(
        name="anyio_file",
        library="anyio",
        version="4.16.0",
        location="anyio/_core/_fileio.py, `AsyncFile.aclose`",
        fault="a file stays open if the task that closes it is cancelled",
        consequence=(
            "With `asyncio.timeout` around it, written data is not on the disk after the end of "
            "`async with`, as long as a reference to the file exists."
        ),
        fix=(
            "Wait in `aclose` for its thread, also if the task is cancelled outside of an anyio "
            "cancel scope."
        ),
        finds=(Category.DROPPED, Category.COLLECTED),
        may_find=(Category.CLEANUP,),
    ),
    Finding(
        name="aiosqlite_connect",
        library="aiosqlite",
        version="0.22.1",
        location="aiosqlite/core.py:168, `Connection._connect`: `self._connection = await future`",
        fault="cancelling `connect` leaves the database open",
        consequence="The file stays open until it is garbage-collected.",
        fix=(
            "Let the thread keep the connection that it has opened, and close it when the thread "
            "stops."
        ),
        report="https://github.com/omnilib/aiosqlite/issues/259",
        finds=(Category.COLLECTED,),
    ),
)
"""In the order of the page: CPython first, then those that need no cancellation."""

SAFE = (
    Safe(
        name="mcp_call",
        library="mcp",
        version="2.3.0",
        audited="a tool call to a server in the same process",
    ),
    Safe(
        name="aio_pika_publish",
        library="aio-pika",
        version="10.2.1",
        audited="a message that is published and confirmed",
        service=Service.RABBITMQ,
    ),
    Safe(
        name="aiokafka_send",
        library="aiokafka",
        version="0.14.0",
        audited="a message that is sent and confirmed",
        also_install=("confluent-kafka==2.16.1",),
    ),
    Safe(
        name="pymongo_find",
        library="pymongo",
        version="4.20.0",
        audited="a query of a client with one connection, with a server in the scenario",
    ),
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
        also_install=("anyio==4.16.0",),
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
        also_install=("psycopg[binary]==3.3.9",),
        service=Service.POSTGRESQL,
    ),
    Safe(
        name="sqlalchemy_session",
        library="SQLAlchemy",
        version="2.1.9",
        audited="a transaction of an engine with one connection of asyncpg",
        also_install=("greenlet==3.5.6", "asyncpg==0.32.0"),
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
"""Scenarios without findings, with one cancellation at each suspension, early and late."""


def chosen(words: tuple[str, ...]) -> tuple[Finding | Safe, ...]:
    """Return the entries that have one of the words in name or library, or all for no words."""
    entries: tuple[Finding | Safe, ...] = (*FINDINGS, *SAFE)
    if not words:
        return entries
    return tuple(
        entry for entry in entries if any(word in f"{entry.name} {entry.library}" for word in words)
    )
