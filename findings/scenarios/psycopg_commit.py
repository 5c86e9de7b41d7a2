"""A connection that commits and closes at the end of `async with`.

Which server: as the environment variables of PostgreSQL say (PGHOST, PGPORT, PGUSER).
"""

from __future__ import annotations

from psycopg import AsyncConnection

from withal.audit import Scenario


async def query() -> None:
    async with await AsyncConnection.connect() as connection:
        await connection.execute("select 1")


scenario = Scenario(query)
