"""uvicorn: `Server.serve` that is cancelled leaves the port open and skips the shutdown."""

import asyncio
import socket
import sys

import uvicorn

said: list[str] = []


async def application(scope, receive, send) -> None:
    assert scope["type"] == "lifespan"
    said.append((await receive())["type"])
    await send({"type": "lifespan.startup.complete"})
    said.append((await receive())["type"])
    await send({"type": "lifespan.shutdown.complete"})


async def main() -> bool:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(application, port=port, log_level="critical"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    await asyncio.sleep(0.5)
    with socket.socket() as client:
        listens = client.connect_ex(("127.0.0.1", port)) == 0
    print(f"serve() ended: {task.done()}; the port still accepts: {listens}; told: {said}")
    return listens or "lifespan.shutdown" not in said


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
