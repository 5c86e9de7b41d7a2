"""Results, progress and the final report of a batch."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, final

from withal._core.errors import WithalError

_logger = logging.getLogger("withal")


@final
class FetchError(WithalError):
    """A URL could not be fetched.

    Attributes:
        url: the URL as it was given, without user and password.
        reason: what happened, in one line, and what to do about it, if known.
        attempts: the number of attempts: 0 if it was never requested.
    """

    __module__ = "withal.fetch"

    def __init__(self, url: str, reason: str, attempts: int) -> None:
        self.url = url
        self.reason = reason
        self.attempts = attempts
        super().__init__(url, reason, attempts)

    def __str__(self) -> str:
        tried = f" (tried {self.attempts} times)" if self.attempts > 1 else ""
        return f"{self.url}: {self.reason}{tried}"


@final
@dataclass(frozen=True, slots=True)
class Result:
    """The result of one URL: a file, or an error.

    Attributes:
        url: as it was given, without user and password.
        path: the complete file; None after an error.
        size: its length in bytes.
        sha256: its hexadecimal SHA-256 digest; None where it was not computed.
        attempts: the number of attempts.
        error: why there is no file; None after a success.
        skipped: whether the file already existed.
        resumed: how many of its bytes an earlier attempt had received.
    """

    url: str
    path: Path | None
    size: int
    sha256: str | None
    attempts: int
    error: FetchError | None
    skipped: bool = False
    resumed: int = 0

    @classmethod
    def failed(cls, url: str, reason: str, attempts: int = 0) -> Result:
        """Return the result for a URL that failed."""
        return cls(url, None, 0, None, attempts, FetchError(url, reason, attempts))


@final
@dataclass(frozen=True, slots=True)
class Report:
    """The results of a batch.

    Attributes:
        results: one for each URL given, in their order. A URL given twice is fetched once, and
            has equal results.
    """

    results: tuple[Result, ...]

    @property
    def ok(self) -> int:
        """The number of URLs with a file."""
        return sum(result.error is None for result in self.results)

    @property
    def failed(self) -> int:
        """The number of URLs that failed."""
        return len(self.results) - self.ok

    @property
    def size(self) -> int:
        """The total size of all files in bytes."""
        return sum({result.path: result.size for result in self.results}.values())


@final
class ProgressKind(enum.Enum):
    """The kinds of progress."""

    STARTED = "started"  # an attempt begins
    RECEIVED = "received"  # more bytes of its body were received
    RETRYING = "retrying"  # an attempt failed, and another one follows after a pause
    FINISHED = "finished"  # its file is complete, under its name
    FAILED = "failed"  # it failed, and is not tried again
    SKIPPED = "skipped"  # its file already existed


@final
@dataclass(frozen=True, slots=True)
class Progress:
    """One step of the download of one URL.

    Attributes:
        kind: the kind of step.
        url: as it was given, without user and password.
        name: the name of its file; empty for a URL that cannot be fetched at all.
        attempt: which attempt it is, from 1; 0 if it was never requested.
        received: bytes of the file so far. A new attempt starts from zero, or where the previous
            one ended.
        total: bytes of the whole body, if the server has said.
        reason: the reason of the failure, for RETRYING and FAILED.
        delay: seconds until the next attempt, for RETRYING.
    """

    kind: ProgressKind
    url: str
    name: str
    attempt: int = 0
    received: int = 0
    total: int | None = None
    reason: str = ""
    delay: float = 0.0


OnProgress: TypeAlias = Callable[[Progress], None]
"""Called with each step, in the event loop's thread; it must neither wait nor raise."""


def report_progress(on_progress: OnProgress, step: Progress) -> None:
    """Report a step. An error is logged: a broken progress bar must not stop a download."""
    try:
        on_progress(step)
    except Exception:
        _logger.exception("on_progress failed at %s; the download continues", step)
