"""What is audited, in which environment, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import final

from withal.audit import Category


@final
class Service(StrEnum):
    """A real server that a scenario talks to."""

    REDIS = "redis"
    POSTGRESQL = "postgresql"
    NATS = "nats"
    MEMCACHED = "memcached"
    MARIADB = "mariadb"
    RABBITMQ = "rabbitmq"


@final
@dataclass(frozen=True, slots=True)
class Case:
    """One audit.

    Attributes:
        scenario: the file in this folder, and the scenario's name in it.
        installs: what pip is to install beside withal, the package in question first.
        finds: the categories that are to be found, and no others; none: it must be safe.
        may_find: categories that depend on chance, and are no concern.
        python: the interpreter's version.
        service: the server that must be running.
    """

    scenario: str
    installs: tuple[str, ...] = ()
    finds: tuple[Category, ...] = ()
    may_find: tuple[Category, ...] = ()
    python: str = "3.11"
    service: Service | None = None

    @property
    def subject(self) -> str:
        """What is audited, and its version."""
        if self.installs:
            return self.installs[0].replace("==", " ")
        return f"CPython {self.python}"


_PSYCOPG = "psycopg[binary]==3.3.9"

CASES = (
    Case(
        "aiosqlite_connect.py:scenario",
        ("aiosqlite==0.20.0",),
        finds=(Category.DESCRIPTOR, Category.THREAD),
    ),
    # The thread ends; the database is still left to the garbage collector.
    Case("aiosqlite_connect.py:scenario", ("aiosqlite==0.21.0",), finds=(Category.COLLECTED,)),
    Case(
        "anyio_lock.py:scenario",
        ("anyio==3.3.4",),
        finds=(Category.STARVATION,),
        # A lock knows its owner by the address of the task, where the probe's may come to be: then
        # that is told it had the lock, and otherwise it waits in vain.
        may_find=(Category.SLOT, Category.WRONG_ANSWER),
    ),
    Case("anyio_lock.py:scenario", ("anyio==3.5.0",)),
    Case(
        "anyio_semaphore.py:scenario",
        ("anyio==3.3.4",),
        finds=(Category.SLOT, Category.STARVATION),
    ),
    Case("anyio_semaphore.py:scenario", ("anyio==3.5.0",)),
    Case(
        "aiorwlock_writer.py:scenario",
        ("aiorwlock==1.4.0",),
        finds=(Category.SLOT, Category.STARVATION),
    ),
    Case("aiorwlock_writer.py:scenario", ("aiorwlock==1.5.1",)),
    Case("aiofiles_open.py:scenario", ("aiofiles==25.1.0",), finds=(Category.DROPPED,)),
    Case("aiofiles_open.py:twin", ("aiofiles==25.1.0",)),
    Case(
        "redis_command.py:scenario",
        ("redis==4.5.1",),
        finds=(Category.WRONG_ANSWER,),
        service=Service.REDIS,
    ),
    Case("redis_command.py:scenario", ("redis==4.5.5",), service=Service.REDIS),
    Case(
        "psycopg_pool_check.py:scenario",
        ("psycopg_pool==3.2.7", _PSYCOPG),
        finds=(Category.SLOT,),
        service=Service.POSTGRESQL,
    ),
    Case(
        "psycopg_pool_check.py:scenario",
        ("psycopg_pool==3.2.8", _PSYCOPG),
        finds=(Category.SWALLOWED,),
        service=Service.POSTGRESQL,
    ),
    Case(
        "psycopg_pool_check.py:scenario",
        ("psycopg_pool==3.3.2", _PSYCOPG),
        service=Service.POSTGRESQL,
    ),
    Case("asyncio_condition.py:scenario", finds=(Category.STARVATION,), python="3.12"),
    Case("asyncio_condition.py:scenario", python="3.13"),
    Case("asyncio_semaphore.py:scenario"),
    Case("asyncio_open_connection.py:scenario"),
    Case("asyncpg_query.py:scenario", ("asyncpg==0.32.0",), service=Service.POSTGRESQL),
)
"""In the order of being shown: the bad version of a package, then its good one; the controls."""


def chosen(words: tuple[str, ...]) -> tuple[Case, ...]:
    """Return the cases that have one of the words in scenario or subject, or all for no words."""
    if not words:
        return CASES
    return tuple(
        case for case in CASES if any(word in f"{case.scenario} {case.subject}" for word in words)
    )
