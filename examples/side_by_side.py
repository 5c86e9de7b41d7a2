"""Three connections opened concurrently: all of them, or none.

It takes as long as the slowest. When one fails, those that had opened are closed again before the
error is raised, so that the program never continues with only some of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from withal import Scope


@asynccontextmanager
async def connection(name: str, *, seconds: float, fails: bool = False) -> AsyncGenerator[str]:
    await asyncio.sleep(seconds)
    if fails:
        raise ConnectionRefusedError(f"{name} refuses")
    print(f"  {name} is open")
    try:
        yield name
    finally:
        print(f"  {name} is closed")


async def main() -> None:
    print("all three answer:")
    async with Scope("app") as scope:
        names = await scope.enter_all(
            connection("db", seconds=0.03),
            connection("cache", seconds=0.01),
            connection("queue", seconds=0.02),
        )
        print("  in the order asked for:", *names)

    print("the queue refuses:")
    async with Scope("app") as scope:
        try:
            await scope.enter_all(
                connection("db", seconds=0.03),
                connection("cache", seconds=0.01),
                connection("queue", seconds=0.02, fails=True),
            )
        except ConnectionRefusedError as error:
            print(f"  {error}; open now: {len(scope.snapshot().resources)}")


if __name__ == "__main__":
    asyncio.run(main())
