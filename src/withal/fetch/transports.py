"""Which transport is used."""

from __future__ import annotations

from importlib.util import find_spec

from withal.fetch.aiohttp_transport import AiohttpTransport
from withal.fetch.options import FetchOptions, TransportName
from withal.fetch.transport import OpenTransport


def open_transport(options: FetchOptions) -> OpenTransport:
    """Return the transport that is asked for, to be entered.

    Raises:
        ImportError: it is not installed.
    """
    # What is chosen by itself is aiohttp's: libcurl's takes a tenth less for small files and a
    # tenth more for large ones (docs/dependencies.md).
    if options.transport is not TransportName.CURL:
        return AiohttpTransport(options)
    if find_spec("pycurl") is None:
        raise ImportError(
            'transport="curl" needs pycurl, which is not installed: pip install "withal[curl]"'
        )
    from withal.fetch.curl_transport import CurlTransport

    return CurlTransport(options)
