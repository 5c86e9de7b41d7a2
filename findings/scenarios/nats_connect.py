"""A client of NATS that connects and closes. NATS: NATS_PORT."""

from __future__ import annotations

import os

import nats

from withal.audit import Scenario

URL = f"nats://127.0.0.1:{os.environ.get('NATS_PORT', '4222')}"


async def connect() -> None:
    client = await nats.connect(URL, allow_reconnect=False)
    await client.close()


scenario = Scenario(connect)
