"""What aiohttp raises becomes one line, and is known to pass or to stay."""

from __future__ import annotations

import errno
import socket
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from withal.fetch.transports.aiohttp_transport import _translated
from withal.http import NotPublicError

PEER = ConnectionKey("host.example", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ClientConnectorError(PEER, ConnectionRefusedError(errno.ECONNREFUSED, "refused")),
        aiohttp.ClientConnectorDNSError(PEER, socket.gaierror(socket.EAI_AGAIN, "again")),
        aiohttp.ClientOSError(errno.ECONNRESET, "reset"),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientPayloadError("cut short"),
        aiohttp.ConnectionTimeoutError(),
        aiohttp.SocketTimeoutError(),
        ConnectionResetError(),
        TimeoutError(),
    ],
)
def test_a_failure_of_the_connection_is_transient(error: Exception) -> None:
    assert _translated(error).is_transient


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ClientConnectorDNSError(PEER, socket.gaierror(socket.EAI_NONAME, "unknown")),
        aiohttp.ClientConnectorSSLError(PEER, OSError(1, "handshake")),
        aiohttp.ClientConnectorCertificateError(PEER, ssl.CertificateError("expired")),
        aiohttp.ClientConnectorError(PEER, NotPublicError("10.0.0.1")),
        aiohttp.InvalidURL("http://"),
    ],
)
def test_a_failure_that_would_come_again_is_not(error: Exception) -> None:
    assert not _translated(error).is_transient


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (aiohttp.ClientPayloadError("a\nb"), "the body ended too early, or is malformed"),
        (aiohttp.ConnectionTimeoutError(), "could not connect within the connect timeout"),
        (aiohttp.ServerDisconnectedError(), "the server closed the connection without an answer"),
        (aiohttp.ClientConnectionError("one\n  two"), "one two"),
        (aiohttp.ClientConnectionError(), "ClientConnectionError"),
        (
            aiohttp.ClientConnectorError(PEER, NotPublicError("10.0.0.1")),
            "host.example: refused: its address is private, local, or that of a metadata service",
        ),
    ],
)
def test_a_failure_is_described_in_one_line(error: Exception, told: str) -> None:
    assert _translated(error).reason == told
