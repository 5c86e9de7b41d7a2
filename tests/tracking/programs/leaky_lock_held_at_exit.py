import asyncio

lock = asyncio.Lock()


async def main() -> None:
    await lock.acquire()  # LEAK lock: never closed


asyncio.run(main())
