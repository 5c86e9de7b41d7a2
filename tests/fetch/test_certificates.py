"""Both transports trust the authorities that Python trusts, and no others."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.fetch.transports import TRANSPORTS

PROGRAM = """
import asyncio, sys
from withal.fetch import FetchOptions, fetch
url, folder, transport = sys.argv[1:]
options = FetchOptions(attempts=1, transport=transport)
(result,) = asyncio.run(fetch([url], folder, options=options)).results
print(result.error and result.error.reason)
"""


async def _answer(_: web.Request) -> web.Response:
    return web.Response(body=b"content")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("is_trusted", [True, False])
async def test_a_certificate_is_checked(tmp_path: Path, transport: str, is_trusted: bool) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    words = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    subprocess.run(
        [*words, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    app = web.Application()
    app.router.add_get("/file", _answer)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    environment = {**os.environ, "NO_PROXY": "*"}
    if is_trusted:
        environment["SSL_CERT_FILE"] = str(certificate)
    url = f"https://localhost:{server.port}/file"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, url, str(tmp_path / "folder"), transport,
        stdout=subprocess.PIPE, env=environment,
    )  # fmt: skip
    told, _ = await process.communicate()
    await server.close()
    reason = told.decode().strip()
    assert (reason == "None") == is_trusted, reason
    assert (tmp_path / "folder" / "file").exists() == is_trusted
