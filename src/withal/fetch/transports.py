"""Which transport is used."""

from __future__ import annotations

from withal.fetch.by_aiohttp import AiohttpTransport
from withal.fetch.options import FetchOptions


def open_transport(options: FetchOptions) -> AiohttpTransport:
    """Return the transport that is asked for, to be entered."""
    return AiohttpTransport(options)
