import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing


async def numbers() -> AsyncIterator[int]:
    yield 1
    yield 2


async def main() -> None:
    async with aclosing(numbers()) as found:
        async for _ in found:
            break
    async for _ in numbers():
        pass


asyncio.run(main())
