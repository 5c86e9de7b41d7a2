import asyncio


async def main() -> None:
    condition = asyncio.Condition()
    await condition.acquire()
    try:
        condition.notify_all()
    finally:
        condition.release()
    kept.append(condition)


kept: list[asyncio.Condition] = []
asyncio.run(main())
