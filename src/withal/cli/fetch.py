"""``withal fetch``: downloads URLs into files, with messages for people."""

from __future__ import annotations

import errno
from collections import Counter
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import final

from withal._core.printable import printable
from withal.cli.amounts import counted, size
from withal.cli.console import print_error
from withal.cli.progress import Display, showing_progress
from withal.fetch import (
    FetchOptions,
    Request,
    RequestFile,
    RequestLineError,
    Result,
    failed_requests,
    fetch_each,
    on_ray,
)
from withal.fetch.cluster.result_lines import result_line
from withal.fetch.cluster.shard import ResultsFormat
from withal.fetch.disk.journal import JOURNAL_NAME
from withal.fetch.plan import ChosenPath
from withal.fetch.requests.request_source import Requests, Source, source_of

_MAX_REASONS = 10


@final
@dataclass(frozen=True, slots=True)
class FetchOutput:
    """The options for printing.

    Attributes:
        json: print each result as a line of JSON on standard output, instead of the summary.
        quiet: print failures only.
        verbose: print each file and each retry.
    """

    json: bool = False
    quiet: bool = False
    verbose: bool = False


@final
class FetchCommand:
    """One run of the command.

    Raises:
        ValueError: if the checksum, or the name of the file, is invalid.
    """

    def __init__(
        self,
        options: FetchOptions,
        printed: FetchOutput,
        *,
        urls: list[str],
        input: Path | None = None,  # noqa: A002 - the name of the option
        folder: Path,
        file: Path | None = None,
        checksum: str | None = None,
        ray: str | None = None,
        ray_results: str = "jsonl",
    ) -> None:
        self._options = options
        self._ray = ray
        self._printed = printed
        self._ray_results: ResultsFormat = "parquet" if ray_results == "parquet" else "jsonl"
        self._input = input
        self._folder = folder
        self._requests: list[str | Request] = list(dict.fromkeys(urls))
        if file is not None or checksum is not None:
            name = None
            if file is not None:
                if file.name in ("", ".."):
                    raise ValueError(f"-O needs the path of a file, got {str(file)!r}")
                self._folder, name = file.parent, ChosenPath(file.name)
            self._requests = [Request(urls[0], name, checksum)]
        self._tally = _Summary()

    async def run(self) -> int:
        """Fetch, show progress, print the summary, and return the exit status: 0, 1 or 2."""
        async with AsyncExitStack() as stack:
            try:
                source = await self._source(stack)
            except OSError as error:
                print_error(f"{error.filename or self._input}: {error.strerror}")
                return 2
            known = len(self._requests) if self._input is None and self._requests else None
            with showing_progress(
                known, quiet=self._printed.quiet, verbose=self._printed.verbose
            ) as display:
                self._tally.display = display
                try:
                    await self._fetch(source, display)
                except ConnectionError as error:  # of the cluster
                    print_error(str(error))
                    return 2
                except OSError as error:
                    print_error(folder_problem(self._folder, error))
                    return 1
                except RequestLineError as error:
                    print_error(f"{self._input}: {error}")
                    return 1
        if not (self._printed.quiet or self._printed.json):
            for line in self._tally.lines(self._folder):
                print(printable(line))
        return 1 if self._tally.failed else 0

    async def _source(self, stack: AsyncExitStack) -> Requests:
        """Return the requests: first those of the arguments, then the lines of the file."""
        if self._input is None:
            if self._requests or not self._options.retry_failed:
                return self._requests
            if not (self._folder / JOURNAL_NAME).is_file():
                reason = "there is no journal of an earlier run"
                raise FileNotFoundError(errno.ENOENT, reason, str(self._folder))
            failed = failed_requests(self._folder)
            return await stack.enter_async_context(aclosing(failed))
        path = None if str(self._input) == "-" else self._input
        file = await stack.enter_async_context(RequestFile(path, on_error=self._wrong_line))
        return _Chain(self._requests, file)

    def _wrong_line(self, error: RequestLineError) -> None:
        """Count an invalid line as a failure; the others are fetched."""
        assert self._tally.display is not None
        self._tally.failed += 1
        self._tally.reasons["the line is not a request"] += 1
        self._tally.display.say(f"{self._input}, {error}")

    async def _fetch(self, source: Requests, display: Display) -> None:
        each = fetch_each
        if self._ray is not None:
            each = partial(on_ray, address=self._ray, results=self._ray_results)
        results = each(source, self._folder, options=self._options, on_progress=display.on_progress)
        async with aclosing(results):
            async for result in results:
                self._tally.add(result)
                if self._printed.json:
                    print(result_line(result), flush=True)


def folder_problem(folder: Path, error: OSError) -> str:
    """Return a message for a folder that cannot be used, with what to do."""
    reason = error.strerror or str(error)
    is_folder = error.filename is None or Path(error.filename) == folder
    advice = "; choose another folder with --output" if is_folder else ""
    if error.errno == errno.ENOENT:
        advice = ""
    return f"{error.filename or folder}: {reason}{advice}"


@final
class _Chain:
    """The requests of the arguments, and then those of a file."""

    def __init__(self, given: list[str | Request], file: Source) -> None:
        self._given = source_of(given)
        self._file = file

    async def take(self, most: int) -> list[str | Request]:
        """Return some more; see `Source`."""
        return await self._given.take(most) or await self._file.take(most)


@final
class _Summary:
    """The summary of the results, in bounded memory."""

    def __init__(self) -> None:
        self.display: Display | None = None
        self.failed = 0
        self.reasons: Counter[str] = Counter()
        self._fetched = 0
        self._skipped = 0
        self._size = 0
        self._resumed = 0
        self._began = monotonic()

    def add(self, result: Result) -> None:
        """Count one."""
        if result.error is not None:
            self.failed += 1
            if len(self.reasons) < 1000 or result.error.reason in self.reasons:
                self.reasons[result.error.reason] += 1
        elif result.skipped:
            self._skipped += 1
        else:
            self._fetched += 1
            self._size += result.size
            self._resumed += result.resumed

    def lines(self, folder: Path) -> list[str]:
        """Return the lines of the summary."""
        took = max(monotonic() - self._began, 1e-9)
        received = self._size - self._resumed
        text = f"{counted(self._fetched, 'file')}, {size(self._size)}, in {folder}"
        text += f", in {took:.1f} s ({size(int(received / took))}/s)"
        if self._resumed:
            text += f"; {size(self._resumed)} were there already"
        if self._skipped:
            text += f"; {counted(self._skipped, 'file')} skipped"
        if not self.failed:
            return [text]
        found = [
            f"  {count:,} x {reason}" for reason, count in self.reasons.most_common(_MAX_REASONS)
        ]
        more = len(self.reasons) - _MAX_REASONS
        return [
            f"{text}; {self.failed:,} failed",
            *found,
            *([f"  and {counted(more, 'other reason')}"] if more > 0 else ()),
        ]
