import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def connection() -> AsyncIterator[int]:
    yield 1


kept: list[object] = []


async def main() -> None:
    manager = connection()
    await manager.__aenter__()  # LEAK connection: never closed
    kept.append(manager)


asyncio.run(main())
