"""tornado: a waiter that is cancelled as it is woken keeps the `Lock` for ever."""

import asyncio
import sys

from tornado.locks import Lock


async def can_be_locked_again(lock: Lock | asyncio.Lock) -> bool:
    await lock.acquire()
    waiter = asyncio.create_task(use(lock))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    lock.release()
    waiter.cancel()
    await asyncio.wait({waiter})
    try:
        async with asyncio.timeout(1):
            await use(lock)
    except TimeoutError:
        return False
    return True


async def use(lock: Lock | asyncio.Lock) -> None:
    await lock.acquire()
    lock.release()


async def main() -> bool:
    print("asyncio.Lock can be locked again:", await can_be_locked_again(asyncio.Lock()))
    ended = await can_be_locked_again(Lock())
    print("tornado's Lock can be locked again:", ended)
    return not ended


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
