"""A FastAPI application with a pool in its lifespan, and settings that SIGHUP reloads.

Requests that have begun keep the settings that they began with. Where the new ones cannot be read,
the old ones stay.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from withal import Scope, files
from withal.pools import Pool, Reloadable


@asynccontextmanager
async def connect() -> AsyncGenerator[list[str]]:
    """Stand for a connection to a database."""
    yield []


def make_app(path: Path) -> FastAPI:
    @asynccontextmanager
    async def read_settings() -> AsyncGenerator[dict[str, Any]]:
        yield json.loads(await files.read_text(path))

    async def reload(settings: Reloadable[dict[str, Any]]) -> None:
        try:
            await settings.reload()
        except ValueError as error:
            print("not reloaded:", type(error).__name__)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with Scope("app") as scope:
            app.state.pool = await scope.enter(Pool(connect, size=10, warm=1))
            app.state.settings = settings = Reloadable(read_settings, scope=scope)
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(
                signal.SIGHUP, lambda: scope.spawn(reload(settings), name="reload")
            )
            scope.defer(loop.remove_signal_handler, signal.SIGHUP)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def greet() -> str:
        async with app.state.pool.acquire(timeout=5), app.state.settings as settings:
            return f"{settings['greeting']}, says generation {app.state.settings.generation}"

    return app


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.json"
        path.write_text('{"greeting": "hello"}')
        app = make_app(path)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://app.example") as client,
        ):
            print((await client.get("/")).json())
            for text in ('{"greeting": "good evening"}', "{ not yet written"):
                path.write_text(text)
                os.kill(os.getpid(), signal.SIGHUP)
                await asyncio.sleep(0.1)
                print((await client.get("/")).json())


if __name__ == "__main__":
    asyncio.run(main())
