"""asyncssh: `start_sftp_client` that is cancelled leaves its session open at the server."""

import asyncio
import sys

import asyncssh

sessions: set[object] = set()


class Server(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


class Files(asyncssh.SFTPServer):
    def __init__(self, channel: asyncssh.SSHServerChannel) -> None:
        super().__init__(channel)
        sessions.add(self)

    def exit(self) -> None:
        sessions.discard(self)


async def start(client: asyncssh.SSHClientConnection) -> None:
    async with client.start_sftp_client():
        pass


async def main() -> bool:
    key = asyncssh.generate_private_key("ssh-ed25519")
    listener = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Server, server_host_keys=[key], sftp_factory=Files
    )
    cancelled = 0
    async with asyncssh.connect("127.0.0.1", listener.get_port(), known_hosts=None) as client:
        for turns in range(30):
            task = asyncio.create_task(start(client))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            cancelled += task.cancelled()
        await asyncio.sleep(0.5)
        count = len(sessions)
        print(f"{cancelled} starts were cancelled; sessions open at the server: {count}")
    listener.close()
    return count > 0


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
