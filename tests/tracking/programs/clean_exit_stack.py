import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager


@asynccontextmanager
async def connection() -> AsyncIterator[int]:
    yield 1


async def main() -> None:
    stack = AsyncExitStack()
    await stack.enter_async_context(connection())
    await stack.aclose()
    async with AsyncExitStack() as other:
        await other.enter_async_context(connection())
        moved = other.pop_all()
    await moved.aclose()


asyncio.run(main())
