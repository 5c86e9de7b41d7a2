"""A counter in a file, which many tasks, or processes, add to under a lock.

Reading a number, adding one and writing it back takes several awaits, and another task may run in
between. `files.lock` excludes other tasks and processes. A task that is cancelled while it waits
for the lock never holds it.
"""

from __future__ import annotations

import asyncio

from withal import files

VISITORS = 20


async def add_one(counter: files.Path) -> None:
    count = int(await counter.read_text())
    await files.write_text(counter, str(count + 1))


async def add_one_under_the_lock(counter: files.Path) -> None:
    async with files.lock(counter.with_suffix(".lock")):
        count = int(await counter.read_text())
        # A read without the lock finds the old number or the new one, never an empty file.
        async with files.atomic_write(counter) as file:
            await file.write(str(count + 1))


async def count_without(counter: files.Path) -> None:
    await counter.write_text("0")
    await asyncio.gather(*(add_one(counter) for _ in range(VISITORS)), return_exceptions=True)
    print(f"{VISITORS} visitors without a lock: counted", await counter.read_text() or 0)


async def count_under(counter: files.Path) -> None:
    await counter.write_text("0")
    await asyncio.gather(*(add_one_under_the_lock(counter) for _ in range(VISITORS)))
    print(f"{VISITORS} visitors under the lock: counted", await counter.read_text())


async def be_turned_away(lock: files.Path) -> None:
    try:
        async with files.lock(lock, timeout=0):
            print("not reached")
    except TimeoutError:
        print("without waiting: another task has the lock")


async def give_up(counter: files.Path) -> None:
    lock = counter.with_suffix(".lock")
    async with files.lock(lock):
        await asyncio.create_task(be_turned_away(lock))
        waiter = asyncio.create_task(add_one_under_the_lock(counter))
        await asyncio.sleep(0.01)
        waiter.cancel()
        await asyncio.wait((waiter,))
    async with files.lock(lock, timeout=1):
        count = await counter.read_text()
    print("a waiter that was cancelled has left the lock free:", count == str(VISITORS))


async def main() -> None:
    async with files.tempfile.TemporaryDirectory() as folder:
        counter = files.Path(folder) / "counter"
        await count_without(counter)
        await count_under(counter)
        await give_up(counter)


if __name__ == "__main__":
    asyncio.run(main())
