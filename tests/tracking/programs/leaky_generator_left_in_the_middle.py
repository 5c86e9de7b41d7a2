import asyncio
from collections.abc import AsyncIterator


async def numbers() -> AsyncIterator[int]:
    yield 1
    yield 2


async def main() -> None:
    async for _ in numbers():  # LEAK generator: closed by the garbage collector
        break


asyncio.run(main())
