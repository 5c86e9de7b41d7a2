"""psycopg: a commit that fails at the end of `async with` leaves the connection open.

No cancellation is needed. PostgreSQL: PGHOST, PGPORT, PGUSER.
"""

import asyncio
import sys

import psycopg


async def main() -> bool:
    used = []
    try:
        async with await psycopg.AsyncConnection.connect() as connection:
            used.append(connection)
            await connection.execute(
                "create temp table t (a int unique deferrable initially deferred)"
            )
            await connection.execute("insert into t values (1), (1)")
    except psycopg.errors.UniqueViolation as error:
        print(f"the commit failed: {type(error).__name__}")
    left = not used[0].closed
    print(f"closed after `async with`: {not left}")
    await used[0].close()
    return left


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
