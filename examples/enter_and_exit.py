"""A class with ``__aenter__`` and ``__aexit__``: in which order its enter, the body and exit run.

First in a plain ``async with``, then in a scope, which calls the same two methods: in the order of
opening, and in reverse. An exception of the body is seen by each ``__aexit__``, and raised.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from withal import Scope


class Connection:
    """A connection that says what happens to it."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __aenter__(self) -> Connection:
        print(f"  enter {self.name}")
        await asyncio.sleep(0)  # a real one would shake hands here
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.sleep(0)
        print(f"  exit {self.name}" + (f", having seen {exc!r}" if exc else ""))


async def main() -> None:
    print("a plain async with:")
    async with Connection("db") as db:
        print(f"  inside, with {db.name}")

    print("a scope:")
    async with Scope("app") as scope:
        db = await scope.enter(Connection("db"))
        cache = await scope.enter(Connection("cache"))
        print(f"  inside, with {db.name} and {cache.name}")

    print("a scope whose body fails:")
    try:
        async with Scope("app") as scope:
            await scope.enter(Connection("db"))
            print(int("no number"))
    except ValueError as error:
        print(f"  raised: {error}")


if __name__ == "__main__":
    asyncio.run(main())
