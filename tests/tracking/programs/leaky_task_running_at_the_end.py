import asyncio


async def main() -> None:
    task = asyncio.create_task(asyncio.sleep(60))  # LEAK task: closed by the loop's end
    await asyncio.sleep(0)


asyncio.run(main())
