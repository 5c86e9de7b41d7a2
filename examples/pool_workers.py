"""Worker processes that use JSON-RPC over their standard input and output, as MCP servers do.

A worker answers one request at a time. After a cancelled request its answer is still pending, so
the worker is closed and another one started; no task gets the answer of another one.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count

from withal.pools import Pool

WORKER = """
import json, sys, time
for line in sys.stdin:
    request = json.loads(line)
    time.sleep(request["params"].get("seconds", 0))
    answer = {"jsonrpc": "2.0", "id": request["id"], "result": request["params"]["text"].upper()}
    print(json.dumps(answer), flush=True)
"""


class Worker:
    """One process, and the requests to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ids = count(1)

    async def call(self, **params: object) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        number = next(self._ids)
        request = {"jsonrpc": "2.0", "id": number, "method": "upper", "params": params}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        await self._process.stdin.drain()
        answer = json.loads(await self._process.stdout.readline())
        assert answer["id"] == number, "the answer of another request"
        return str(answer["result"])


@asynccontextmanager
async def worker() -> AsyncGenerator[Worker]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, stdin=pipe, stdout=pipe
    )
    try:
        yield Worker(process)
    finally:
        process.kill()
        await process.wait()


async def main() -> None:
    async with Pool(worker, size=2, warm=1) as pool:

        async def upper(text: str) -> str:
            async with pool.acquire(timeout=10) as one:
                return await one.call(text=text)

        print(*await asyncio.gather(*(upper(fruit) for fruit in ("pear", "apple", "plum"))))
        try:
            async with pool.acquire() as one, asyncio.timeout(0.05):
                await one.call(text="slow", seconds=0.3)
        except TimeoutError:
            print("slow was cut off; the next gets", await upper("its own"))
        print("workers closed since they were cut off:", pool.statistics().closed.cancelled)


if __name__ == "__main__":
    asyncio.run(main())
