"""asyncpg: `copy_from_query` whose output fails on the last part: the pool never gets it back.

No cancellation is needed. PostgreSQL: PGHOST, PGPORT, PGUSER.
"""

import asyncio
import sys

import asyncpg


async def full_disk(data: bytes) -> None:
    raise OSError(28, "No space left on device")


async def export(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await connection.copy_from_query("select 1", output=full_disk)


async def main() -> bool:
    pool = await asyncpg.create_pool(min_size=1, max_size=1)
    task = asyncio.create_task(export(pool))
    await asyncio.wait({task}, timeout=5)
    ended = task.done()
    print(f"raised {task.exception()!r}" if ended else "the output failed; waits after 5 s, in:")
    if not ended:
        task.print_stack(limit=1, file=sys.stdout)
        task.cancel()
    await asyncio.wait({task}, timeout=1)
    pool.terminate()
    return not ended


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
