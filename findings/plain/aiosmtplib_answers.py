"""aiosmtplib: after a command that timed out, later commands get the answers of others."""

import asyncio
import sys

import aiosmtplib

ANSWERS = {b"EHLO": b"250 hello", b"RCPT": b"550 no such user", b"DATA": b"354 go on"}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 ready\r\n")
    while line := await reader.readline():
        await asyncio.sleep(0.05)
        writer.write(ANSWERS.get(line[:4].upper(), b"250 fine") + b"\r\n")
    writer.close()


async def main() -> bool:
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False)
        await client.connect()
        await client.ehlo()
        try:
            async with asyncio.timeout(0.02):
                await client.mail("me@example.org")  # its answer comes after 0.05 s
        except TimeoutError:
            print("MAIL timed out; still connected:", client.is_connected)
        try:
            await client.rset()
            answer = await client.rcpt("nobody@example.org")
            print(f"the server refuses the recipient with 550; rcpt() returns {answer}")
        except aiosmtplib.SMTPException as error:
            print(f"raised {error!r}")
            answer = None
        client.close()
        return answer is not None


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
