"""aiojobs: a `close` of a scheduler that is cancelled leaves its jobs, and cannot be repeated."""

import asyncio
import sys

from aiojobs import Scheduler


async def job() -> None:
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.2)  # says goodbye to its peer


async def main() -> bool:
    scheduler = Scheduler()
    await scheduler.spawn(job())
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(0.1):
            await scheduler.close()
    except TimeoutError:
        print("close timed out")
    await scheduler.close()
    await asyncio.sleep(0.5)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    names = [task.get_coro().__qualname__ for task in tasks]
    print(f"closed again: {scheduler.closed}; tasks: {names}")
    return bool(tasks)


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
