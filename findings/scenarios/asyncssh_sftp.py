"""A client of SFTP that is started on a connection, and closed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncssh

from withal.audit import Scenario

KEY = asyncssh.generate_private_key("ssh-ed25519")


class Server(asyncssh.SSHServer):
    """A server that asks for no password."""

    def begin_auth(self, username: str) -> bool:
        return False


class Connection:
    """A connection, and the sessions that are open at the server."""

    def __init__(self) -> None:
        self.client: asyncssh.SSHClientConnection
        self.sessions: set[object] = set()

    def session(self, channel: asyncssh.SSHServerChannel) -> asyncssh.SFTPServer:
        session = asyncssh.SFTPServer(channel)
        self.sessions.add(session)
        session.exit = lambda: self.sessions.discard(session)
        return session


@asynccontextmanager
async def connection() -> AsyncGenerator[Connection]:
    made = Connection()
    options = {"server_factory": Server, "server_host_keys": [KEY], "sftp_factory": made.session}
    async with asyncssh.listen("127.0.0.1", 0, **options) as listener:
        port = listener.get_port()
        async with asyncssh.connect("127.0.0.1", port, known_hosts=None) as made.client:
            yield made


async def list_files(connection: Connection) -> None:
    async with connection.client.start_sftp_client() as files:
        await files.getcwd()


async def has_no_session(connection: Connection) -> None:
    assert not connection.sessions, f"{len(connection.sessions)} sessions are open at the server"


scenario = Scenario(list_files, setup=connection, probe=has_no_session, probe_at_once=False)
