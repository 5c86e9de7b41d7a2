import asyncio

limit = asyncio.BoundedSemaphore(2)
items = asyncio.Semaphore(0)


async def work() -> None:
    async with limit:
        await asyncio.sleep(0)
    items.release()  # by a task that has not acquired it: a signal


async def release_later() -> None:
    limit.release()


async def main() -> None:
    tasks = [asyncio.create_task(work()) for _ in range(3)]
    await limit.acquire()
    for _ in tasks:
        await items.acquire()
    await asyncio.gather(*tasks, release_later())


asyncio.run(main())
