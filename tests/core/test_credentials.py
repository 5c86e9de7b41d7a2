"""Credentials in URLs are left out of what is shown: the URL itself, names, errors and events."""

from __future__ import annotations

import asyncio
import traceback

import pytest

from tests.laws.probes import Log, Probe, failing
from withal import Event, NotOpenError, Scope, ScopeClosedError, observing
from withal._core.credentials import text_without_credentials, url_without_credentials
from withal._core.printable import printable
from withal.ledger import Ledger

DSN = "postgresql+driver://ann:s3cret@host.example:5432/app"
SHOWN = "postgresql+driver://host.example:5432/app"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host.example/x", "http://host.example/x"),
        ("http://host.example/@x?at=a@b#@", "http://host.example/@x?at=a@b#@"),
        ("http://[::1]:80/x@y", "http://[::1]:80/x@y"),
        ("http://host.example/a//b@c", "http://host.example/a//b@c"),
        ("host.example/@x", "host.example/@x"),
        ("http://ann:s3cret@host.example/x", "http://host.example/x"),
        ("http://s3cret@host.example/x", "http://host.example/x"),
        ("http://:s3cret@host.example/x", "http://host.example/x"),
        ("http://@host.example/x", "http://host.example/x"),
        ("HTTP://ann:s3cret@[::1]:80/x@y", "HTTP://[::1]:80/x@y"),
        ("http://ann:s3@cret@host.example/x@y", "http://host.example/x@y"),
        ("ftp://ann:s3cret@host.example/x", "ftp://host.example/x"),
        ("//ann:s3cret@host.example/x", "//host.example/x"),
        ("http://host.example/?to=http://ann:s3cret@b/", "http://host.example/?to=http://b/"),
    ],
)
def test_a_url_is_shown_without_its_user_and_password(url: str, shown: str) -> None:
    assert url_without_credentials(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "http://ann:s3cret@host.example:99999/",
        "http://ann:s3cret@host.example:port/",
        "http://ann:s3cret@[::1/",
        "http://ann:s3cret@",
        "http://ann:s3/cret@host.example/",
        "http://ann:s3?cret@host.example/",
        "http://ann:s3#cret@host.example/",
        "http://ann:s3\\cret@host.example/",
        "http://ann:s3 cret@host.example/",
        "http://ann:s3\ncret@host.example/",
        " http://ann:s3cret@host.example/",
        "http:/ann:s3cret@host.example/",
        "http:ann:s3cret@host.example/",
        "ann:s3cret@host.example/x",
        "ann:s3/cret@host.example/x",
        "url=http://ann:s3cret@host.example/",
        "http://host.example/x http://ann:s3cret@host.example/",
    ],
)
def test_a_password_in_a_malformed_url_is_not_shown_either(url: str) -> None:
    shown = url_without_credentials(url)
    for part in ("ann", "s3", "cret"):
        assert part not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nothing at all", "nothing at all"),
        ("ann@host.example wrote // this @ that", "ann@host.example wrote // this @ that"),
        (f"cannot connect to {DSN!r}", f"cannot connect to {SHOWN!r}"),
        (f"URL('{DSN}'), {DSN}", f"URL('{SHOWN}'), {SHOWN}"),
        ("see http://host.example/@x, or a@b", "see http://host.example/@x, or a@b"),
        ("at http://ann:s3/cret@host.example/", "at http://host.example/"),
        ("at http://ann:s3?c'ret@host.example/", "at http://host.example/"),
    ],
)
def test_the_urls_in_a_text_are_shown_without_users_and_passwords(text: str, shown: str) -> None:
    assert text_without_credentials(text) == shown
    assert printable(text) == shown


async def test_a_name_that_is_a_url_is_without_credentials_wherever_it_is_shown() -> None:
    events: list[Event] = []
    ledger = Ledger()
    scope = Scope(DSN)
    with observing(events.append), observing(ledger), pytest.raises(ExceptionGroup) as caught:
        async with scope:
            await scope.enter(Probe(Log(), "a", closing=failing(OSError("one"))), name=DSN)
            await scope.enter(Probe(Log(), "b"), name=DSN, inline=True)
            scope.spawn(asyncio.sleep(60), name=DSN)
            texts = [repr(scope), str(scope.snapshot()), repr(scope.snapshot())]
            with pytest.raises(NotOpenError) as not_open:
                await scope.release(DSN)
            with pytest.raises(TypeError) as no_manager:
                await scope.enter(DSN)  # type: ignore[call-overload]
            raise ValueError
    with pytest.raises(ScopeClosedError) as closed:
        await scope.enter(Probe(Log(), "c"), name=DSN)
    for error in (caught, not_open, no_manager, closed):
        texts += [repr(error.value), "".join(traceback.format_exception_only(error.value))]
    texts += map(str, (*ledger.records, *events))
    assert SHOWN in texts[0]
    assert not [each for each in texts if "s3cret" in each]
