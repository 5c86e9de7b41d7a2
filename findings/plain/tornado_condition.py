"""tornado: a notification of `Condition` is lost with the waiter that it woke."""

import asyncio
import sys

from tornado.locks import Condition


async def main() -> bool:
    condition, woken = Condition(), []

    async def wait(name: str) -> None:
        await condition.wait()
        woken.append(name)

    first, second = (asyncio.create_task(wait(name)) for name in ("first", "second"))
    await asyncio.sleep(0.01)
    condition.notify(1)
    first.cancel()
    await asyncio.wait({second}, timeout=0.5)
    second.cancel()
    print(f"notify(1), and the first of two waiters is cancelled: woken {woken}")
    return not woken


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
