import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager


@asynccontextmanager
async def connection() -> AsyncIterator[int]:
    yield 1


kept: list[object] = []


async def main() -> None:
    stack = AsyncExitStack()
    await stack.enter_async_context(connection())  # LEAK exit stack: never closed
    kept.append(stack)


asyncio.run(main())
