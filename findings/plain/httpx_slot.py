"""httpcore: a request of httpx that is cancelled loses the connection that it was to use."""

import asyncio
import sys

import httpx


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    except (ConnectionError, asyncio.IncompleteReadError):
        writer.close()


async def is_lost_if_cancelled_after(turns: int) -> bool:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(limits=limits, timeout=1, trust_env=False) as client:
        await client.get(url)
        task = asyncio.create_task(client.get(url))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        try:
            await client.get(url)
        except httpx.PoolTimeout:
            return True
        finally:
            server.close()
    return False


left = [turns for turns in range(12) if asyncio.run(is_lost_if_cancelled_after(turns))]
print(f"cancelled after {left} turns of the loop: the pool's only connection is never given again")
print("reproduces" if left else "does not reproduce")
sys.exit(bool(left))
