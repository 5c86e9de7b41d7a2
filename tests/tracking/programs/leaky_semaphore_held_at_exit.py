import asyncio

limit = asyncio.BoundedSemaphore(2)


async def work() -> None:
    await limit.acquire()
    await asyncio.sleep(0)
    limit.release()


async def main() -> None:
    tasks = [asyncio.create_task(work()) for _ in range(3)]
    await limit.acquire()  # LEAK semaphore: never closed
    await asyncio.gather(*tasks)
    async with limit:
        pass


asyncio.run(main())
