"""Selects the transport, and imports only that one, since each is slow to import."""

from __future__ import annotations

from importlib.util import find_spec

from withal.fetch.options import FetchOptions, TransportName
from withal.fetch.transports.transport import OpenTransport


def open_transport(options: FetchOptions) -> OpenTransport:
    """Return the selected transport, which is an async context manager.

    Raises:
        ImportError: if it is not installed.
    """
    has_curl = find_spec("pycurl") is not None
    if options.transport is TransportName.CURL and not has_curl:
        raise ImportError(
            'transport="curl" needs pycurl, which is not installed: pip install "withal[curl]"'
        )
    # libcurl takes a quarter less time for small files, and the same time for large ones: see
    # docs/dependencies.md.
    if options.transport is TransportName.AIOHTTP or not has_curl:
        from withal.fetch.transports.aiohttp_transport import AiohttpTransport

        return AiohttpTransport(options)
    from withal.fetch.transports.curl_transport import CurlTransport

    return CurlTransport(options)
