import asyncio

lock = asyncio.Lock()


async def main() -> None:
    await lock.acquire()
    lock.release()
    async with lock:
        pass


asyncio.run(main())
