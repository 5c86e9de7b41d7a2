import asyncio
from collections.abc import AsyncIterator


async def numbers() -> AsyncIterator[int]:
    yield 1
    yield 2


kept: list[object] = []


async def main() -> None:
    found = numbers()
    await anext(found)  # LEAK generator: closed by the loop's end
    kept.append(found)


asyncio.run(main())
