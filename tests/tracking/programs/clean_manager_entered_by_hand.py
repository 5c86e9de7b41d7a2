import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def connection() -> AsyncIterator[int]:
    yield 1


async def main() -> None:
    manager = connection()
    await manager.__aenter__()
    await manager.__aexit__(None, None, None)
    async with connection(), connection():
        pass


asyncio.run(main())
