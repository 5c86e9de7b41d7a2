"""CPython: `asyncio.start_server` that is cancelled as it returns leaves the port open."""

import asyncio
import gc
import socket
import sys


async def still_listens_if_cancelled_after(turns: int) -> bool:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    task = asyncio.create_task(asyncio.start_server(print, "127.0.0.1", port))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    gc.collect()
    await asyncio.sleep(0.05)
    with socket.socket() as client:
        return task.cancelled() and client.connect_ex(("127.0.0.1", port)) == 0


left = [turns for turns in range(6) if asyncio.run(still_listens_if_cancelled_after(turns))]
print(f"cancelled after {left} turns of the loop: the port still accepts, and no one can close it")
print("reproduces" if left else "does not reproduce")
sys.exit(bool(left))
