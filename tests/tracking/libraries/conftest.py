"""The servers that the programs connect to."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.servers import postgres, redis

LARGE = 4 * 2**20
"""More than a client reads ahead: a response of this size is not complete until it is read."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = bytes(LARGE if self.path == "/large" else 2)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # the client has gone

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def http_url() -> Generator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def websocket_url() -> Generator[str]:
    from websockets.exceptions import ConnectionClosedError
    from websockets.sync.server import ServerConnection, serve

    def echo(connection: ServerConnection) -> None:
        with suppress(ConnectionClosedError):  # of a program that has not closed it
            for message in connection:
                connection.send(message)

    with serve(echo, "127.0.0.1", 0, ping_interval=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def redis_server() -> Generator[redis.Redis]:
    if redis.PROGRAM is None:
        pytest.skip(redis.MISSING)
    with redis.redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(redis_server: redis.Redis) -> str:
    return redis_server.url


@pytest.fixture(scope="session")
def redis_port(redis_server: redis.Redis) -> str:
    return str(redis_server.port)


@pytest.fixture(scope="session")
def postgres_url() -> Generator[str]:
    if postgres.PROGRAM is None:
        pytest.skip(postgres.MISSING)
    with postgres.postgres_server() as server:
        yield server.dsn()
