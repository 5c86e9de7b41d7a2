"""httpx: clients, and responses that are streamed."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from withal.tracking.held import Kind
from withal.tracking.tracker import Tracker


def _is_closed(thing: Any) -> bool:
    return bool(thing.is_closed)


CLIENT = Kind("client", "httpx", 7, _is_closed)
RESPONSE = Kind("response", "httpx", 7, _is_closed, within=("httpx/", "httpx2/"))


def follow(tracker: Tracker) -> None:
    """Follow clients of httpx."""
    _follow(tracker, "httpx")


def follow_second(tracker: Tracker) -> None:
    """Follow clients of httpx2, which has the interface of httpx."""
    _follow(tracker, "httpx2")


def _follow(tracker: Tracker, name: str) -> None:
    module = importlib.import_module(name)
    book = tracker.book

    def sent(response: Any) -> None:
        if not response.is_closed and book.find(response) is None:
            book.opened(response, RESPONSE)

    for client, close in (module.Client, "close"), (module.AsyncClient, "aclose"):
        tracker.follow(
            client, CLIENT, closes=[close, "__exit__", "__aexit__"], when=_must_be_closed
        )
        tracker.patches.returning(client, "send", sent)
        tracker.closing(module.Response, close)


def _must_be_closed(client: object) -> bool:
    """Return false for Starlette's test client, which need not be closed."""
    testing = sys.modules.get("starlette.testclient")
    return testing is None or not isinstance(client, testing.TestClient)
