"""A counter in a file, which many tasks, or processes, add to under a lock.

To read a number, add one and write it back takes several awaits, and somebody else may come in
between. `files.lock` keeps others out, those in other processes too. Who is cancelled while waiting
for it never holds it.
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
        # Who reads without the lock finds the old number or the new one, and no empty file.
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
        print("one who does not wait: somebody else has the counter")


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
    print("one who is cancelled while waiting has left the lock free:", count == str(VISITORS))


async def main() -> None:
    async with files.tempfile.TemporaryDirectory() as folder:
        counter = files.Path(folder) / "counter"
        await count_without(counter)
        await count_under(counter)
        await give_up(counter)


if __name__ == "__main__":
    asyncio.run(main())
