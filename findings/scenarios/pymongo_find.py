"""A query of a client with one connection, and another one after it.

The server is in this file: it answers `hello`, and each query with what was asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from struct import pack, unpack_from
from typing import Any

import bson
from pymongo import AsyncMongoClient

from withal.audit import Scenario

HELLO = {"isWritablePrimary": True, "maxWireVersion": 21, "minWireVersion": 0, "ok": 1.0}


def answer(document: dict[str, Any]) -> dict[str, Any]:
    if "find" not in document:
        return HELLO
    found = {"id": 0, "ns": "db.docs", "firstBatch": [document["filter"]]}
    return {"cursor": found, "ok": 1.0}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(EOFError, ConnectionError):
        while True:
            size, request, _, code = unpack_from("<4i", await reader.readexactly(16))
            body = await reader.readexactly(size - 16)
            document = bson.decode(body[5:] if code == 2013 else body[body.index(0, 4) + 9 :])
            reply = bson.encode(answer(document))
            if code == 2013:
                reply, code = pack("<IB", 0, 0) + reply, 2013
            else:
                reply, code = pack("<iqii", 0, 0, 0, 1) + reply, 1
            await asyncio.sleep(0.01)
            writer.write(pack("<4i", len(reply) + 16, 1, request, code) + reply)
    writer.close()


@asynccontextmanager
async def client() -> AsyncGenerator[AsyncMongoClient[Any]]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with AsyncMongoClient("127.0.0.1", port, maxPoolSize=1, directConnection=True) as client:
        await ask(client, "first")
        yield client
    server.close()


async def ask(client: AsyncMongoClient[Any], text: str = "mine") -> None:
    assert await client.db.docs.find_one({"text": text}) == {"text": text}


async def ask_again(client: AsyncMongoClient[Any]) -> None:
    await ask(client, "yours")


scenario = Scenario(ask, setup=client, probe=ask_again)
