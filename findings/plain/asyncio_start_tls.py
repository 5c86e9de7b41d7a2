"""CPython: after a cancelled `StreamWriter.start_tls`, `wait_closed` never returns."""

import asyncio
import socket
import ssl
import sys


async def main() -> bool:
    with socket.create_server(("127.0.0.1", 0)) as server:  # it never answers the handshake
        _, writer = await asyncio.open_connection(*server.getsockname())
        try:
            async with asyncio.timeout(0.1):
                await writer.start_tls(ssl.create_default_context(), server_hostname="localhost")
        except TimeoutError:
            print("start_tls timed out")
        writer.close()
        closing = asyncio.ensure_future(writer.wait_closed())
        await asyncio.wait({closing}, timeout=2)
        ended = closing.done()
        closing.cancel()
        print("wait_closed() returned" if ended else "close(), and wait_closed() waits after 2 s")
        return ended


left = not asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
