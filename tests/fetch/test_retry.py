"""What may pass is tried again: which failures those are."""

from __future__ import annotations

import errno
import socket
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from withal import CloseTimeoutError
from withal.fetch.failures import BadStatusError, WrongLengthError
from withal.fetch.retry import is_transient

PEER = ConnectionKey("host.example", 443, True, True, None, None, None)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_status_that_may_pass_is_transient(status: int) -> None:
    assert is_transient(BadStatusError(status, "", None))


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 403, 404, 410, 416, 501, 505])
def test_a_status_that_stays_is_not(status: int) -> None:
    assert not is_transient(BadStatusError(status, "", None))


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
        WrongLengthError(1, 2),
    ],
)
def test_a_failure_of_the_connection_is_transient(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ClientConnectorDNSError(PEER, socket.gaierror(socket.EAI_NONAME, "unknown")),
        aiohttp.ClientConnectorSSLError(PEER, OSError(1, "handshake")),
        aiohttp.ClientConnectorCertificateError(PEER, ssl.CertificateError("expired")),
        aiohttp.InvalidURL("http://"),
        OSError(errno.ENOSPC, "disk full"),
        FileExistsError(errno.EEXIST, "exists"),
        CloseTimeoutError("file", 1.0, ("part_file",)),
    ],
)
def test_a_failure_that_would_come_again_is_not(error: Exception) -> None:
    assert not is_transient(error)
