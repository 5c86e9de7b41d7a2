"""A client that sends a command, and whose next one the server refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from aiosmtplib import SMTP, SMTPException

from withal.audit import Scenario

ANSWERS = {b"EHLO": b"250 hello", b"RCPT": b"550 no such user"}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 ready\r\n")
    with suppress(ConnectionError):
        while line := await reader.readline():
            await asyncio.sleep(0.01)
            writer.write(ANSWERS.get(line[:4].upper(), b"250 fine") + b"\r\n")
    writer.close()


@asynccontextmanager
async def client() -> AsyncGenerator[SMTP]:
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = SMTP(hostname="127.0.0.1", port=port, start_tls=False)
        await client.connect()
        await client.ehlo()
        yield client
        client.close()


async def send(client: SMTP) -> None:
    await client.mail("me@example.org")


async def is_refused(client: SMTP) -> None:
    try:
        await client.rset()
        answer = await client.rcpt("nobody@example.org")
    except SMTPException:
        return
    raise AssertionError(f"the server refuses the recipient, and the client says {answer}")


scenario = Scenario(send, setup=client, probe=is_refused)
