"""A folder that is removed while files are fetched into it ends the batch with an error."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.fetch.transports import TRANSPORTS
from withal.fetch import FetchOptions, TransportName, fetch


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("size", [10, 3_000_000])
async def test_a_batch_ends_when_its_folder_is_removed(
    tmp_path: Path, size: int, transport: str
) -> None:
    folder = tmp_path / "folder"

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/3":
            shutil.rmtree(folder)
        return web.Response(body=bytes(size))

    app = web.Application()
    app.router.add_get("/{name}", answer)
    options = FetchOptions(jobs=1, transport=TransportName(transport))
    async with TestServer(app) as server:
        urls = [str(server.make_url(f"/{number}")) for number in range(300)]
        with pytest.raises(FileNotFoundError, match="the folder was removed") as caught:
            await fetch(urls, folder, options=options)
    assert caught.value.filename == str(folder)
    assert not folder.exists()
