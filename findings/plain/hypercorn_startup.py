"""hypercorn: `serve` that is cancelled as the application starts leaves the application running."""

import asyncio
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config

said: list[str] = []


async def application(scope, receive, send) -> None:
    said.append((await receive())["type"])
    await asyncio.sleep(0.2)  # connects to its database
    await send({"type": "lifespan.startup.complete"})
    said.append((await receive())["type"])
    await send({"type": "lifespan.shutdown.complete"})


async def main() -> bool:
    config = Config()
    config.bind = ["127.0.0.1:0"]
    try:
        async with asyncio.timeout(0.1):
            await serve(application, config, shutdown_trigger=asyncio.Event().wait)
    except TimeoutError:
        print("serve timed out")
    await asyncio.sleep(0.5)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    print(f"told: {said}; tasks: {[task.get_coro().__qualname__ for task in tasks]}")
    return bool(tasks)


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
