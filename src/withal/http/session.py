"""Sessions: `aiohttp.ClientSession` with the settings that a download wants."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.request import getproxies

import aiohttp

from withal._core.once import Once

# Looked up once, at import: it reads a file.
USER_AGENT = f"withal/{importlib.metadata.version('withal')}"


def session(
    *,
    connect_timeout: float = 30.0,
    idle_timeout: float = 60.0,
    trust_env: bool = True,
    user_agent: str = USER_AGENT,
) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
    """Open an `aiohttp.ClientSession` whose responses are what the server has, byte for byte.

    What differs from aiohttp's defaults, and why:

    * No limit on connections. aiohttp counts the wait for a free connection as connecting, so a
      request that queues for it times out for nothing: limit the requests that you start.
    * No limit on the whole of a request, which aborts large bodies (aiohttp has 5 minutes), but
      one for each of its phases.
    * Bodies are neither asked for compressed nor decompressed, so that their length is the
      announced one, and a compressed bomb stays small.
    * Proxies and passwords are taken from the environment: ``HTTPS_PROXY``, ``NO_PROXY``,
      ``~/.netrc``. Whether there are any is looked up when the session opens.

    The errors of its requests are aiohttp's own. Those about an invalid URL quote it as it was
    given, with the password that is in it: `withal.fetch` does not show these.

    The session is closed when the block ends, and its connections with it, whatever is in flight.

    What this returns can be entered once; again is an `AlreadyEnteredError`.

    Args:
        connect_timeout: seconds for looking up a host, connecting and TLS together.
        idle_timeout: seconds without a byte, while waiting for an answer or for more of it.
        trust_env: use the environment's proxies and ``.netrc``.
        user_agent: the ``User-Agent`` header.

    Example:
        >>> import asyncio
        >>> async def main() -> None:
        ...     async with session(idle_timeout=10) as client:
        ...         print(client.headers["Accept-Encoding"])
        >>> asyncio.run(main())
        identity
    """
    timeout = aiohttp.ClientTimeout(total=None, connect=connect_timeout, sock_read=idle_timeout)
    return Once("session", None, lambda: _open(timeout, trust_env, user_agent))


@asynccontextmanager
async def _open(
    timeout: aiohttp.ClientTimeout, trust_env: bool, user_agent: str
) -> AsyncGenerator[aiohttp.ClientSession, None]:
    # With trust_env aiohttp goes to a thread twice for each request, to look at the environment
    # and at ~/.netrc. Where there is nothing to find, that took longer than a small download.
    trust_env = trust_env and await asyncio.to_thread(_environment_matters)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=timeout,
        headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=trust_env,
    ) as client:
        yield client


def _environment_matters() -> bool:
    """Tell whether there is a proxy or a password file to be heeded. Blocks."""
    if not getproxies().keys().isdisjoint({"http", "https"}):
        return True
    return os.path.exists(os.path.expanduser(os.environ.get("NETRC") or "~/.netrc"))
