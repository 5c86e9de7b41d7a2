"""The objects that all transfers of a batch share, and the report of their progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from withal.fetch.concurrency import AdaptiveConcurrency
from withal.fetch.disk.folder import Folder
from withal.fetch.options import FetchOptions
from withal.fetch.plan import Job
from withal.fetch.report import OnProgress, Progress, ProgressKind, report_progress
from withal.fetch.transfers.body_reader import BodyReader
from withal.fetch.transfers.environment import Environment
from withal.fetch.transfers.throttle import Throttle
from withal.fetch.transports.transport import Transport
from withal.http.gate import HostGate


@final
@dataclass(frozen=True, slots=True)
class FetchContext:
    """The objects that all transfers of a batch use.

    Attributes:
        options: the options of the batch.
        folder: the folder that the files are written to.
        transport: makes the requests.
        gate: limits the requests to each host.
        environment: proxies and passwords.
        throttle: limits the received bytes per second; None for no limit.
        adaptive: finds the best number of concurrent files; None if the number is fixed.
        on_progress: called with each step; None if it is not needed.
    """

    options: FetchOptions
    folder: Folder
    transport: Transport
    gate: HostGate
    environment: Environment
    throttle: Throttle | None
    adaptive: AdaptiveConcurrency | None
    on_progress: OnProgress | None

    def body_reader(self) -> BodyReader:
        """Return a reader for one body."""
        return BodyReader(self.throttle, self.options.low_speed, self.adaptive)

    def report(
        self,
        job: Job,
        kind: ProgressKind,
        attempt: int,
        *,
        received: int = 0,
        total: int | None = None,
        reason: str = "",
        delay: float = 0.0,
    ) -> None:
        """Report one step of a job, if progress is reported at all."""
        if self.on_progress is not None:
            step = Progress(kind, job.url, job.name, attempt, received, total, reason, delay)
            report_progress(self.on_progress, step)
