"""Sessions: `aiohttp.ClientSession` with settings for downloads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any
from urllib.request import getproxies

import aiohttp

from withal._core.once import Once
from withal.http.gate import HostGate
from withal.http.middlewares import GateMiddleware, RetryMiddleware
from withal.http.public import public_socket
from withal.http.retry import RetryPolicy
from withal.http.user_agent import USER_AGENT


def session(
    *,
    connect_timeout: float = 30.0,
    idle_timeout: float = 60.0,
    trust_env: bool = True,
    user_agent: str = USER_AGENT,
    gate: HostGate | None = None,
    retry: RetryPolicy | None = None,
    public_only: bool = False,
) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
    """Open an `aiohttp.ClientSession` whose bodies are the bytes that the server sent.

    It is aiohttp's own class: JSON, forms, cookies, TLS contexts, WebSockets and everything else
    work as aiohttp documents them. Differences from its defaults:

    * No limit on connections. aiohttp counts the wait for a free connection as connecting, so a
      request that queues for a connection may time out although the server is fast. Limit the
      requests that you start instead.
    * No time limit for a whole request, which would abort large bodies (aiohttp's is 5 minutes:
      https://docs.aiohttp.org/en/stable/client_quickstart.html#timeouts), but one for each of its
      phases.
    * Bodies are neither requested with compression nor decompressed, so that their length is the
      announced one, and a decompression bomb has no effect.
    * With `gate`, each request waits for its turn before it gets a connection, and holds the turn
      until its response has been read, released or closed; a redirect waits again, for its own
      host. A 429 or 503 with a ``Retry-After`` pauses the whole host. No timeout but a ``total``
      one runs while a request waits. A task that holds a response may have the last turn of its
      host. So it must not wait for another turn at the same host.
    * With `retry`, a request is retried after a failed connection or a transient status, if a retry
      is harmless. A body that breaks off while it is read is not retried.
    * With `public_only`, connections are made to public addresses only (see `is_public`), for each
      spelling of an address, for each resolved name, and after each redirect. Proxies and
      ``.netrc`` are not used then.
    * Proxies and passwords are taken from the environment: ``HTTPS_PROXY``, ``NO_PROXY``,
      ``~/.netrc``. They are looked up once, when the session opens.

    The errors of its requests are aiohttp's own. An error about an invalid URL contains the URL
    with its password; `withal.fetch` does not show such errors.

    The session and its connections are closed when the block ends, also during requests.

    The returned object can be entered once; a second time raises `AlreadyEnteredError`.

    Args:
        connect_timeout: seconds for looking up a host, connecting and TLS together.
        idle_timeout: seconds without a received byte, while waiting for a response or for more of
            its body.
        trust_env: use the environment's proxies and ``.netrc``.
        user_agent: the ``User-Agent`` header.
        gate: limits for each host and in all. It may be shared by sessions of one event loop.
        retry: which requests are repeated, and when. Each session has a budget of its own.
        public_only: refuse addresses that are not public. A request to one fails with an
            `aiohttp.ClientConnectorError` whose ``os_error`` is a `NotPublicError`; nothing was
            sent.

    Example:
        >>> import asyncio
        >>> async def main() -> None:
        ...     async with session(idle_timeout=10) as client:
        ...         print(client.headers["Accept-Encoding"])
        >>> asyncio.run(main())
        identity
    """
    timeout = aiohttp.ClientTimeout(total=None, connect=connect_timeout, sock_read=idle_timeout)
    middlewares: list[aiohttp.ClientMiddlewareType] = []
    if retry is not None:
        middlewares.append(RetryMiddleware(retry))
    if gate is not None:
        middlewares.append(GateMiddleware(gate))
    settings = {
        "timeout": timeout,
        "headers": {"User-Agent": user_agent, "Accept-Encoding": "identity"},
        "auto_decompress": False,
        "middlewares": tuple(middlewares),
    }
    trust_env = trust_env and not public_only
    return Once("session", None, partial(_open, settings, trust_env, public_only))


def plain_session(
    *,
    connect_timeout: float,
    public_only: bool,
    read_buffer: int,
    response_class: type[aiohttp.ClientResponse],
) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
    """Open a session for `withal.fetch`, which handles retries, limits and redirects itself.

    It does not read the environment, keeps no cookies, and has no limit on the time to a response.
    """
    settings = {
        "timeout": aiohttp.ClientTimeout(total=None, connect=connect_timeout),
        "headers": {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        "auto_decompress": False,
        "cookie_jar": aiohttp.DummyCookieJar(),
        "read_bufsize": read_buffer,
        "response_class": response_class,
    }
    return Once("session", None, partial(_open, settings, False, public_only))


@asynccontextmanager
async def _open(
    settings: dict[str, Any],  # the arguments of aiohttp's class
    trust_env: bool,
    public_only: bool,
) -> AsyncGenerator[aiohttp.ClientSession, None]:
    # With trust_env, aiohttp makes two calls in a thread for each request, to read the environment
    # and ~/.netrc. If there is neither, these calls took longer than a small download.
    trust_env = trust_env and await asyncio.to_thread(_environment_matters)
    connector = aiohttp.TCPConnector(limit=0, socket_factory=public_socket if public_only else None)
    async with aiohttp.ClientSession(
        connector=connector, trust_env=trust_env, **settings
    ) as client:
        yield client


def _environment_matters() -> bool:
    """Return whether there is a proxy or a password file to use. Blocks."""
    if not getproxies().keys().isdisjoint({"http", "https"}):
        return True
    return os.path.exists(os.path.expanduser(os.environ.get("NETRC") or "~/.netrc"))
