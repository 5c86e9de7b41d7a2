import asyncio


async def main() -> None:
    condition = asyncio.Condition()
    async with condition:
        condition.notify_all()
    await condition.acquire()  # LEAK lock: never closed
    kept.append(condition)


kept: list[asyncio.Condition] = []
asyncio.run(main())
