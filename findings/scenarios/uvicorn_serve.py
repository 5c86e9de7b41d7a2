"""A server that starts, and stops as it is asked to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

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


class Server(uvicorn.Server):
    """A server that stops soon after it has started."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        asyncio.get_running_loop().call_later(0.05, self.stop)

    def stop(self) -> None:
        self.should_exit = True


async def serve() -> None:
    config = uvicorn.Config(application, port=0, log_config=None, lifespan="on")
    await Server(config).serve()


scenario = Scenario(serve)
