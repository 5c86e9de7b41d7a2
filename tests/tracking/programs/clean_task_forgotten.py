import asyncio


async def main() -> None:
    async def work() -> None:
        await asyncio.sleep(0)

    tasks = [asyncio.create_task(work()) for _ in range(3)]
    await asyncio.gather(*tasks)


asyncio.run(main())
