import asyncio


async def main() -> None:
    lock = asyncio.Lock()

    async def work() -> None:
        async with lock:
            await asyncio.sleep(0)

    task = asyncio.create_task(work())
    await task


asyncio.run(main())
