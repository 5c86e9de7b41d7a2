"""A server that starts, and stops as it is asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

from withal.audit import Scenario

Message = dict[str, Any]  # ASGI's


async def application(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def run() -> None:
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = None
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, stop.set)
    await serve(application, config, shutdown_trigger=stop.wait)


scenario = Scenario(run)
