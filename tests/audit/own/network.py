"""HTTP sessions and downloads, audited against a real server on the loopback interface."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tests.audit.own.case import Case, case
from tests.audit.own.grounds import in_tmpfs
from tests.audit.own.server import BODY, Served, serving
from withal.fetch import (
    FetchOptions,
    RequestFile,
    TransportName,
    failed_requests,
    fetch,
    fetch_each,
)
from withal.fetch.disk.journal import JOURNAL_NAME
from withal.files.threads.pool import wait_idle
from withal.http import HostGate, RetryPolicy, session


@final
@dataclass(frozen=True, slots=True)
class Site:
    """A server, and a folder to download into."""

    url: str
    folder: Path
    server: Served


_servers = list[Served]()


@contextmanager
def served() -> Generator[None]:
    """Start a server for the audits in the block. It outlives each attempt."""
    with serving() as server:
        _servers.append(server)
        yield
        _servers.clear()


@asynccontextmanager
async def site() -> AsyncGenerator[Site]:
    with in_tmpfs() as folder:
        yield Site(_servers[0].url, folder, _servers[0])


async def get(site: Site, path: str = "/whole") -> None:
    async with session(trust_env=False) as client, client.get(site.url + path) as response:
        assert await response.read() == BODY


async def get_slowly(site: Site) -> None:
    await get(site, "/slow")


async def look_at_the_environment(site: Site) -> None:
    async with session() as client:
        assert not client.closed


# By aiohttp, whose waits are the same in each run. For libcurl see `tests.audit.own.transfers`.
PATIENT = FetchOptions(attempts=1, transport=TransportName.AIOHTTP)
ALONE = FetchOptions(attempts=1, jobs=1, transport=TransportName.AIOHTTP)


async def fetch_one(site: Site) -> None:
    report = await fetch([f"{site.url}/slow"], site.folder, options=PATIENT)
    assert report.ok == 1, report


async def fetch_several(site: Site) -> None:
    """Fetch one after the other: side by side, they would come in another order each time."""
    urls = [f"{site.url}/{name}" for name in ("slow", "missing", "whole")]
    report = await fetch(urls, site.folder, options=ALONE)
    assert (report.ok, report.failed) == (2, 1), report


async def get_through_the_gate(site: Site) -> None:
    """Two at a gate for one: the second waits for the first."""
    gate = HostGate(per_host=1)
    retry = RetryPolicy(backoff=0)
    async with session(trust_env=False, gate=gate, retry=retry) as client:

        async def one() -> None:
            async with client.get(f"{site.url}/slow") as response:
                assert await response.read() == BODY

        async with asyncio.TaskGroup() as group:
            group.create_task(one())
            group.create_task(one())
    assert gate.statistics().running == 0


async def pass_the_gate(site: Site) -> None:
    gate = HostGate(per_host=1)
    try:
        async with gate.passing("a"):
            waiter = asyncio.ensure_future(gate.enter("a"))
            await asyncio.sleep(0)
        await waiter
        gate.leave("a")
    finally:
        if not waiter.done():
            waiter.cancel()
    assert gate.statistics().running == 0


async def fetch_some(site: Site) -> None:
    """Leave the loop at the first."""
    results = fetch_each([f"{site.url}/slow"], site.folder, options=ALONE)
    async with aclosing(results):
        async for result in results:
            assert result.error is None, result
            return


async def read_requests(site: Site) -> None:
    path = site.folder.parent / f"{site.folder.name}.urls"
    path.write_text(f"{site.url}/whole\n")
    try:
        async with RequestFile(path) as requests:
            assert len(await requests.take(10)) == 1
            assert not await requests.take(10)
    finally:
        path.unlink()


async def read_what_failed(site: Site) -> None:
    options = ALONE
    await fetch([f"{site.url}/missing"], site.folder, options=options)
    async with aclosing(failed_requests(site.folder)) as requests:
        assert len([request async for request in requests]) == 1


async def answers(site: Site) -> None:
    await get(site)


async def complete_or_not_there(site: Site) -> None:
    """Check that each file is complete, and that they can be fetched again."""
    await wait_idle()
    for name in set(os.listdir(site.folder)) - {JOURNAL_NAME}:
        assert name in {"whole", "slow"}, name
        assert (site.folder / name).read_bytes() == BODY
        (site.folder / name).unlink()
    await fetch_one(site)
    (site.folder / "slow").unlink()


def _cases() -> Iterator[Case]:
    for name, run in (
        ("http.session, an answer", get),
        ("http.session, a slow answer", get_slowly),
        ("http.session, the environment", look_at_the_environment),
        ("http.session, a gate and retries", get_through_the_gate),
    ):
        yield case(name, run, "http.session", setup=site, probe=answers, deep=False)
    names = "http.HostGate.enter", "http.HostGate.passing"
    yield case("http.HostGate", pass_the_gate, *names, setup=site, probe=answers)
    for name, run in ("fetch, one", fetch_one), ("fetch, a batch", fetch_several):
        yield case(name, run, "fetch.fetch", setup=site, probe=complete_or_not_there, deep=False)
    probe = complete_or_not_there
    yield case("fetch_each", fetch_some, "fetch.fetch_each", setup=site, probe=probe, deep=False)
    yield case(
        "failed_requests",
        read_what_failed,
        "fetch.failed_requests",
        setup=site,
        probe=probe,
        deep=False,
    )
    names = "fetch.RequestFile.__aenter__", "fetch.RequestFile.take"
    yield case("RequestFile", read_requests, *names, setup=site)


CASES = list(_cases())
