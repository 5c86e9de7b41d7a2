"""Errors of leases: what happened, to which lease, and what to do."""

from __future__ import annotations

from typing import final

from withal._core.credentials import text_without_credentials
from withal._core.errors import WithalError


@final
class LeaseLostError(WithalError):
    """A lease could not be kept, so that another task may have it now.

    The body was cancelled before that could happen, unless the process was stopped, or its event
    loop blocked, at that time.

    Attributes:
        name: the name of the lease.
        token: its fencing token.
        reason: the reason of the loss.
    """

    __module__ = "withal.lease"

    def __init__(self, name: str, token: int, reason: str) -> None:
        self.name = name
        self.token = token
        self.reason: str = text_without_credentials(reason)
        super().__init__(name, token, self.reason)

    def __str__(self) -> str:
        return (
            f"the lease {self.name!r} (token {self.token}) is lost: {self.reason}; the work under "
            "it may be unfinished: acquire the lease and do it again"
        )


@final
class LeaseTimeoutError(WithalError, TimeoutError):
    """A lease was not acquired in time, since another holder has it.

    Attributes:
        name: the name of the lease.
        timeout: the seconds that it has waited; 0 for a single request.
        reason: the holder, or why it was not granted.
        ahead: the number of waiters ahead of this one.
    """

    __module__ = "withal.lease"

    def __init__(self, name: str, timeout: float, reason: str, ahead: int) -> None:
        self.name = name
        self.timeout = timeout
        self.reason = reason
        self.ahead = ahead
        super().__init__(name, timeout, reason, ahead)

    def __reduce__(self) -> tuple[type[LeaseTimeoutError], tuple[str, float, str, int]]:
        return type(self), (self.name, self.timeout, self.reason, self.ahead)  # OSError drops some

    def __str__(self) -> str:
        within = "at the first try" if self.timeout == 0 else f"within {self.timeout:g} s"
        ahead = f", and {self.ahead} were waiting ahead" if self.ahead else ""
        return (
            f"did not get the lease {self.name!r} {within}: {self.reason}{ahead}; "
            "use a longer timeout, or see leases.holders()"
        )


@final
class LeaseDeadlockError(WithalError, RuntimeError):
    """A task requested a lease that it already holds or waits for: it would deadlock.

    Attributes:
        name: the name of the lease.
        task: the name of the task.
        line: the file and line where the task requested it first.
    """

    __module__ = "withal.lease"

    def __init__(self, name: str, task: str, line: str) -> None:
        self.name = name
        self.task = task
        self.line = line
        super().__init__(name, task, line)

    def __str__(self) -> str:
        return (
            f"deadlock: task {self.task!r} has requested the lease {self.name!r} already, at "
            f"{self.line}; use the lease that it has, or leave that block first"
        )


@final
class LeaseServerError(WithalError):
    """The server that stores the leases cannot be reached, or refuses the request.

    Its ``__cause__`` is the error of the client library or of the operating system.

    Attributes:
        server: the server, without credentials, or the folder.
        problem: what is wrong, and what to do.
    """

    __module__ = "withal.lease"

    def __init__(self, server: str, problem: str) -> None:
        self.server: str = text_without_credentials(server)
        self.problem: str = text_without_credentials(problem)
        super().__init__(self.server, self.problem)

    def __str__(self) -> str:
        return f"leases at {self.server}: {self.problem}"
