import asyncio


async def main() -> None:
    async def work() -> None:
        await asyncio.sleep(60)

    for _ in range(3):
        asyncio.create_task(work())  # LEAK task x3: closed by the loop's end
    await asyncio.sleep(0)


asyncio.run(main())
