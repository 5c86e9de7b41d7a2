import asyncio


async def main() -> None:
    lock = asyncio.Lock()

    async def work() -> None:
        async with lock:
            await asyncio.sleep(60)

    task = asyncio.create_task(work())  # LEAK task: closed by the loop's end
    await asyncio.sleep(0.01)


asyncio.run(main())
