"""Leases in Redis: what it may have forgotten, and what may be wrong with it."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.servers import redis
from tests.servers.process import free_port
from withal.lease import LeaseLostError, LeaseServerError, LeaseTimeoutError, RedisLeases

pytest.importorskip("redis")
pytestmark = pytest.mark.skipif(redis.PROGRAM is None, reason=redis.MISSING)


@pytest.fixture
def fresh() -> Iterator[redis.Redis]:
    """Start a server that nobody else uses."""
    with redis.redis_server() as server:
        yield server


def command(server: redis.Redis, *words: str) -> None:
    import redis as client

    with client.Redis.from_url(server.url) as connection:
        connection.execute_command(*words)


@pytest.mark.slow
async def test_a_server_that_was_just_started_grants_nothing_for_a_ttl(fresh: redis.Redis) -> None:
    leases = RedisLeases(fresh.url)
    with pytest.raises(LeaseTimeoutError, match=r"the server was started.*durable=True"):
        async with leases.hold("a", ttl=2, timeout=0):
            pass
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with leases.hold("a", ttl=2, timeout=20):
        assert 1 < loop.time() - start < 10
    async with leases.hold("a", ttl=2, timeout=0):
        pass


@pytest.mark.slow
async def test_a_restart_without_data_loses_the_lease_and_keeps_others_out(
    fresh: redis.Redis,
) -> None:
    leases = RedisLeases(fresh.url)
    loop = asyncio.get_running_loop()
    left = []

    async def hold() -> int:
        async with leases.hold("a", ttl=2, timeout=20) as lease:
            try:
                await asyncio.sleep(0.2)
                await asyncio.to_thread(fresh.restart)
                await asyncio.sleep(60)
            finally:
                left.append((loop.time(), lease.token))
        return 0

    with pytest.raises(LeaseLostError):
        holder = asyncio.create_task(hold())
        await asyncio.sleep(3.5)
        async with leases.hold("a", ttl=2, timeout=20) as second:
            assert left
            assert loop.time() >= left[0][0]
            assert second.token > left[0][1]
        await holder


@pytest.mark.slow
async def test_a_restart_with_data_keeps_the_lease() -> None:
    with redis.redis_server("--appendonly", "yes", "--appendfsync", "always") as server:
        leases = RedisLeases(server.url, durable=True)

        async def try_once() -> None:
            async with leases.hold("a", timeout=0):
                pytest.fail("it is held")

        async with leases.hold("a", ttl=6) as lease:
            await asyncio.to_thread(server.restart)
            with pytest.raises(LeaseTimeoutError, match="held by process"):
                await asyncio.create_task(try_once())
            await asyncio.sleep(3)
            lease.check()


async def test_tokens_increase_after_all_was_deleted(redis_server: redis.Redis) -> None:
    leases, name = RedisLeases(redis_server.url, durable=True), uuid4().hex
    tokens = []
    for _ in range(3):
        async with leases.hold(name) as lease:
            tokens.append(lease.token)
        command(redis_server, "FLUSHALL")
        command(redis_server, "SCRIPT", "FLUSH")
    assert tokens == sorted(set(tokens))


async def test_a_server_that_is_not_there_is_an_error_within_seconds() -> None:
    leases = RedisLeases(f"redis://ann:secret@127.0.0.1:{free_port()}/0")
    with pytest.raises(LeaseServerError, match=r"Connect call failed|refused") as caught:
        async with leases.hold("a", timeout=0):
            pass
    assert "secret" not in str(caught.value)
    with pytest.raises(LeaseServerError, match="cannot list the holders"):
        await leases.holders()


@pytest.mark.slow
async def test_a_server_that_does_not_answer_is_an_error_within_seconds() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        leases = RedisLeases(f"redis://127.0.0.1:{port}/0")
        with pytest.raises(LeaseServerError, match=r"Timeout connecting|did not answer"):
            async with leases.hold("a", timeout=0):
                pass


async def test_a_server_of_another_kind_is_an_error() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LeaseServerError, match="HTTP"):
            async with RedisLeases(f"redis://127.0.0.1:{port}/0").hold("a", timeout=0):
                pass


async def test_a_wrong_password_is_said_at_once() -> None:
    with redis.redis_server("--requirepass", "right") as server:
        leases = RedisLeases(server.url.replace("//", "//:wrong@"))
        with pytest.raises(LeaseServerError, match="check user and password") as caught:
            async with leases.hold("a", timeout=60):
                pass
        assert "wrong" not in str(caught.value).replace("wrong number", "")
        with pytest.raises(LeaseServerError, match="put user and password into the URL"):
            async with RedisLeases(server.url).hold("a", timeout=60):
                pass


async def test_the_error_for_a_user_without_the_rights_names_them(
    redis_server: redis.Redis,
) -> None:
    command(redis_server, "ACL", "SETUSER", "poor", "on", ">x", "~*", "+@read", "+@connection")
    leases = RedisLeases(redis_server.url.replace("//", "//poor:x@"), durable=True)
    with pytest.raises(LeaseServerError, match="let the user run EVAL"):
        async with leases.hold("a", timeout=60):
            pass


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost", "postgresql://x/y"])
def test_a_url_of_another_kind_is_said_at_the_call(url: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{url!r} is not the URL of a Redis server")):
        RedisLeases(url)


def test_a_missing_client_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ImportError, match=re.escape('pip install "withal[redis]"')):
        RedisLeases("redis://localhost")


async def test_a_wake_up_that_is_lost_delays_a_waiter_only(redis_server: redis.Redis) -> None:
    first, second = (RedisLeases(redis_server.url, durable=True) for _ in range(2))
    name = uuid4().hex

    async def wait() -> None:
        async with second.hold(name, timeout=20):
            pass

    async with first.hold(name):
        waiter = asyncio.create_task(wait())
        await asyncio.sleep(0.2)
        command(redis_server, "CLIENT", "KILL", "TYPE", "pubsub")
    await waiter


def test_signals_stop_a_server(fresh: redis.Redis) -> None:
    fresh.restart(signal.SIGTERM)
    command(fresh, "PING")
