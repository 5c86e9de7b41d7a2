"""Leases in PostgreSQL: rights, poolers, crashes, and what may be wrong with it."""

from __future__ import annotations

import asyncio
import logging
import re
import traceback
from uuid import uuid4

import pytest

from tests.servers import postgres
from tests.servers.process import free_port
from withal.lease import LeaseLostError, LeaseServerError, PostgresLeases, drivers
from withal.lease.postgres import _shown

pytestmark = pytest.mark.skipif(postgres.PROGRAM is None, reason=postgres.MISSING)
Server = postgres.Postgres


async def use(leases: PostgresLeases, name: str = "a") -> int:
    async with leases.hold(name, timeout=20) as lease:
        return lease.token


def database(server: Server) -> str:
    """Make an empty database."""
    name = f"db_{uuid4().hex}"
    server.run(f"CREATE DATABASE {name}")
    return name


async def test_the_table_is_made_once_by_many_at_a_time(
    postgres_server: Server, driver: str
) -> None:
    dsn = postgres_server.dsn(database=database(postgres_server))
    tokens = await asyncio.gather(*(use(PostgresLeases(dsn), str(n)) for n in range(8)))
    assert len(set(tokens)) == 8


async def test_the_error_for_a_user_without_the_right_to_create_it_says_what_to_run(
    postgres_server: Server, driver: str
) -> None:
    name = database(postgres_server)
    user = f"user_{name}"
    dsn = postgres_server.dsn(user, name)
    postgres_server.run(f"CREATE USER {user}")
    postgres_server.run(f"REVOKE CREATE ON DATABASE {name} FROM PUBLIC")
    leases = PostgresLeases(dsn)

    def in_database(statements: str) -> None:
        postgres_server.run(statements, database=name)

    in_database("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    with pytest.raises(LeaseServerError, match=r"run the SQL of PostgresLeases\.migration\(\)"):
        await use(leases)
    in_database(PostgresLeases.migration())
    with pytest.raises(LeaseServerError, match=r"permission denied .* let the user select"):
        await use(leases)
    in_database(
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON withal_leases TO {user};"
        f"GRANT USAGE ON SEQUENCE withal_leases_seq TO {user}"
    )
    assert await use(leases) > 0


@pytest.mark.slow
async def test_deleted_rows_lose_the_lease_and_tokens_go_on(
    postgres_server: Server, driver: str
) -> None:
    leases = PostgresLeases(postgres_server.dsn())
    name = uuid4().hex
    with pytest.raises(LeaseLostError, match="does not have it"):
        async with leases.hold(name, ttl=1) as lease:
            postgres_server.run("DELETE FROM withal_leases")
            await asyncio.sleep(10)
    assert await use(leases, name) > lease.token


@pytest.mark.slow
async def test_a_crash_of_the_server_keeps_the_lease(driver: str) -> None:
    with postgres.postgres_server() as server:
        leases = PostgresLeases(server.dsn())
        async with leases.hold("a", ttl=20) as lease:
            await asyncio.to_thread(server.restart)
            (holder,) = await leases.holders()
            assert holder.token == lease.token
            await leases._backend.renew(lease._tenure._request, lease.token)
        assert await use(leases) > lease.token


async def test_a_lease_is_stored_even_if_commits_are_not_waited_for(
    postgres_server: Server, driver: str
) -> None:
    name = database(postgres_server)
    postgres_server.run(f"ALTER DATABASE {name} SET synchronous_commit = off")
    assert await use(PostgresLeases(postgres_server.dsn(database=name))) > 0


@pytest.mark.slow
async def test_it_works_behind_a_pooler_and_says_that_it_polls(
    postgres_server: Server, driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    if postgres.BOUNCER is None:
        pytest.skip(postgres.NO_BOUNCER)
    name = uuid4().hex
    with postgres.pgbouncer(postgres_server) as dsn:
        leases = PostgresLeases(dsn)
        with caplog.at_level(logging.WARNING, "withal"):
            async with leases.hold(name):
                waiters = [asyncio.create_task(use(leases, name)) for _ in range(3)]
                await asyncio.sleep(0.5)
            tokens = await asyncio.gather(*waiters)
        assert len(set(tokens)) == 3
        assert [each.getMessage() for each in caplog.records if each.name == "withal"] == [
            f"leases at {_shown(dsn)}: LISTEN does not work through the pooler in between, so that "
            "waiters ask again each tenth of a second; pass the server's own address as listen_dsn"
        ]
        caplog.clear()
        direct = PostgresLeases(dsn, listen_dsn=postgres_server.dsn())
        async with direct.hold(name):
            waiter = asyncio.create_task(use(direct, name))
            await asyncio.sleep(0.3)
        await waiter
        assert not [each for each in caplog.records if each.name == "withal"]


async def test_a_server_that_is_not_there_is_an_error_within_seconds(driver: str) -> None:
    leases = PostgresLeases(f"postgresql://ann:secret@127.0.0.1:{free_port()}/x")
    with pytest.raises(LeaseServerError, match=r"refused|Connect call failed") as caught:
        async with leases.hold("a", timeout=0):
            pass
    assert "secret" not in str(caught.value)


async def test_a_wrong_password_is_said_at_once(postgres_server: Server, driver: str) -> None:
    postgres_server.run(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'locked') THEN "
        "CREATE USER locked PASSWORD 'right'; END IF; END $$"
    )
    dsn = postgres_server.dsn("locked:wrong")
    with pytest.raises(LeaseServerError, match=r"authentication failed .*check user and password"):
        await use(PostgresLeases(dsn))


async def test_a_database_that_is_not_there_is_said_at_once(
    postgres_server: Server, driver: str
) -> None:
    leases = PostgresLeases(postgres_server.dsn(database="missing"))
    with pytest.raises(LeaseServerError, match='database "missing" does not exist; create'):
        await use(leases)


async def test_a_missing_user_and_a_missing_password_are_reported(
    postgres_server: Server, driver: str
) -> None:
    with pytest.raises(LeaseServerError, match='role "gone" does not exist; check user'):
        await use(PostgresLeases(postgres_server.dsn("gone")))
    with pytest.raises(LeaseServerError, match=r"password.*; check user and password"):
        await use(PostgresLeases(postgres_server.dsn("locked")))


@pytest.mark.parametrize(
    "dsn", ["mysql://ann:hunter2@h/d", "host hunter2", "postgresql://ann:hunter2@h:port/d"]
)
async def test_an_invalid_dsn_is_an_error_without_its_secrets(dsn: str, driver: str) -> None:
    if driver == "psycopg" and dsn.startswith("postgresql:"):
        pytest.skip("libpq takes it for a port that it cannot resolve")
    with pytest.raises(LeaseServerError, match="the DSN is not valid; pass one like") as caught:
        await use(PostgresLeases(dsn))
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


async def test_a_broken_connection_is_replaced(postgres_server: Server, driver: str) -> None:
    name = uuid4().hex
    async with PostgresLeases(postgres_server.dsn()) as leases:
        first = await use(leases, name)
        postgres_server.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        assert await use(leases, name) > first


def test_the_migration_may_be_run_again(postgres_server: Server) -> None:
    for _ in range(2):
        postgres_server.run(PostgresLeases.migration())


def test_a_missing_client_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=re.escape('pip install "withal[postgres]"')):
        PostgresLeases("postgresql://localhost")


def test_secrets_of_a_dsn_are_not_shown() -> None:
    assert _shown("postgresql://ann:hunter2@host/db") == "postgresql://host/db"
    assert _shown("host=h password=secret user=ann dbname=d") == "host=h dbname=d"
    assert _shown("service=mine password=secret") == "the PostgreSQL server"
