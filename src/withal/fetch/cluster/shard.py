"""A shard: the part of a list that one worker of a cluster fetches into the shared folder."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeAlias, final
from uuid import uuid4

from withal.fetch.batch import fetch, fetch_within
from withal.fetch.cluster.cluster_limits import Demand, Share
from withal.fetch.cluster.result_lines import result_line, result_row
from withal.fetch.options import FetchOptions
from withal.fetch.report import Report, Result
from withal.fetch.requests.parquet import write_parquet
from withal.fetch.requests.request import Request

MARKER = ".withal-ray"
"""A file in the folder by which a worker sees that it has the same folder."""

RESULTS = "results"
"""The subfolder for the results, with a file for each shard."""

ResultsFormat: TypeAlias = Literal["jsonl", "parquet"]
"""The format of these files, which is the end of their names too."""

_PAUSE_SECONDS = 0.25  # seconds until the share is requested again, if there was no answer


@final
@dataclass(frozen=True, slots=True)
class Marker:
    """The shared folder, and the content of its marker file.

    Attributes:
        folder: its absolute path.
        content: different for each run.
    """

    folder: Path
    content: str

    @classmethod
    def new(cls, folder: Path) -> Marker:
        """Write the marker file of this run into the folder, and return the marker."""
        marker = cls(folder.absolute(), uuid4().hex)
        (folder / RESULTS).mkdir(parents=True, exist_ok=True)
        (folder / MARKER).write_text(marker.content, "ascii")
        return marker

    def check(self) -> None:
        """Check that this process has access to the same folder.

        Raises:
            FileNotFoundError: if the folder is missing here, or is another one.
        """
        try:
            found = (self.folder / MARKER).read_text("ascii")
        except FileNotFoundError:
            found = ""
        if found != self.content:
            problem = (
                f"the worker on {socket.gethostname()} does not have the folder that the program "
                "has; name one on a file system that all nodes share"
            )
            raise FileNotFoundError(errno.ENOENT, problem, str(self.folder))


@final
@dataclass(frozen=True, slots=True)
class Shard:
    """One part of the list.

    Attributes:
        number: the number of the shard, from 0.
        requests: its requests.
        marker: the shared folder and its marker.
        options: limits, retries and other options.
        results: the format of the file of its results.
        first: how many requests to each host may run before the first share is received.
    """

    number: int
    requests: tuple[str | Request, ...]
    marker: Marker
    options: FetchOptions
    results: ResultsFormat = "jsonl"
    first: int = 0

    @property
    def name(self) -> str:
        """The name of its folder, and of its file of results."""
        return f"{self.number:05}"

    def failed(self, reason: str) -> list[Result]:
        """Return a failure for each request."""
        urls = [each if isinstance(each, str) else each.url for each in self.requests]
        return [Result.failed(url, reason) for url in urls]


def fetch_shard(shard: Shard, limits: object = None) -> list[Result]:
    """Fetch a shard. Called in a worker of the cluster.

    Args:
        shard: what to fetch.
        limits: the actor that divides the limits; None to use those of the shard's options.
    """
    shard.marker.check()
    report = asyncio.run(_fetch(shard, limits))
    path = shard.marker.folder / RESULTS / f"{shard.name}.{shard.results}"
    temporary = path.with_suffix(f".{os.getpid()}.part")
    if shard.results == "parquet":
        write_parquet(temporary, [result_row(each) for each in report.results])
    else:
        temporary.write_text("".join(f"{result_line(each)}\n" for each in report.results), "utf-8")
    temporary.replace(path)
    return list(report.results)


async def _fetch(shard: Shard, limits: object) -> Report:
    folder = shard.marker.folder / shard.name
    if limits is None:
        return await fetch(shard.requests, folder, options=shard.options)
    asked = _LimitsOfActor(limits, shard)
    return await fetch_within(shard.requests, folder, options=shard.options, limits=asked)


@final
class _LimitsOfActor:
    """The limits that an actor divides. While Ray restarts the actor, there is no answer."""

    def __init__(self, actor: Any, shard: Shard) -> None:
        self._actor = actor
        self._shard = shard.number
        self.first: int = shard.first
        self._ray_error: type[Exception] = import_module("ray.exceptions").RayError

    async def exchange(self, demand: Demand) -> Share | None:
        """Return the share for a demand."""
        try:
            share: Share = await self._actor.exchange.remote(self._shard, demand)
        except self._ray_error:
            await asyncio.sleep(_PAUSE_SECONDS)
            return None
        return share

    async def wait_called(self) -> None:
        """Wait until the share is requested again."""
        try:
            await self._actor.wait_called.options(max_task_retries=0).remote(self._shard)
        except self._ray_error:
            await asyncio.sleep(_PAUSE_SECONDS)
