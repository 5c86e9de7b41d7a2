"""Resources declared once, with their dependencies, and opened when one of them is needed.

Two connections need the settings, and the application needs both: they open concurrently, and
close in reverse order. A test replaces one by a fake.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from withal import Scope, needs, resource


@resource
async def settings() -> AsyncIterator[dict[str, str]]:
    yield {"database": "main", "cache": "local"}


@resource
async def database(options: dict[str, str] = needs(settings)) -> AsyncIterator[str]:
    await asyncio.sleep(0.02)
    print("  the database is open")
    yield f"database {options['database']!r}"
    print("  the database is closed")


@resource
async def cache(options: dict[str, str] = needs(settings)) -> AsyncIterator[str]:
    await asyncio.sleep(0.01)
    print("  the cache is open")
    yield f"cache {options['cache']!r}"
    print("  the cache is closed")


@resource
async def application(db: str = needs(database), store: str = needs(cache)) -> AsyncIterator[str]:
    yield f"application with {db} and {store}"
    print("  the application has stopped")


@resource
async def fake_database() -> AsyncIterator[str]:
    yield "a fake"


async def main() -> None:
    print("the plan:")
    async with Scope("app") as scope:
        print(scope.plan(application))
        print("the program:")
        print(" ", await scope.open(application))
        path = scope.snapshot().critical_path
        assert path is not None
        print("  what held it up:", " > ".join(path.names))

    print("a test:")
    async with Scope("test") as scope:
        scope.override(database, fake_database)
        print(" ", await scope.open(application))


if __name__ == "__main__":
    asyncio.run(main())
