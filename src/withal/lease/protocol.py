"""The interface of a backend: its steps, and the data of requests and answers.

Each step is atomic at the server, and uses only the server's clock. A step may be repeated after a
lost answer, since the server recognizes a claim by its id.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, final
from urllib.parse import quote

_MAX_KEY_CHARACTERS = (
    200  # a file name has at most 255 bytes, an index row of PostgreSQL about 2,700
)


@final
@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a lease, as the server has it.

    Attributes:
        name: the name of the lease.
        token: its fencing token.
        host: the name of the machine.
        process: the process id there.
        task: the name of the task that holds it.
        line: the file and line that requested it.
        held_for: seconds since it was acquired, by the server's clock.
        expires_in: seconds until it expires unless it is renewed, by the server's clock.
    """

    name: str
    token: int
    host: str
    process: int
    task: str
    line: str
    held_for: float
    expires_in: float


@final
@dataclass(frozen=True, slots=True)
class LeaseOwner:
    """The requester of a lease, as it is stored at the server."""

    name: str
    host: str
    process: int
    task: str
    line: str

    @classmethod
    def here(cls, name: str, task: str, line: str) -> LeaseOwner:
        """Return an owner in this process."""
        return cls(name, socket.gethostname(), os.getpid(), task, line)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, task {self.task!r} at {self.line}"

    def to_json(self) -> str:
        """Return it as ASCII text."""
        return json.dumps([self.name, self.host, self.process, self.task, self.line])

    @classmethod
    def from_json(cls, text: str) -> LeaseOwner:
        """Return the owner from the text of `to_json`."""
        return cls(*json.loads(text))

    def holder(self, token: int, held_for: float, expires_in: float) -> Holder:
        """Return it as the holder of a lease."""
        return Holder(
            self.name, token, self.host, self.process, self.task, self.line, held_for, expires_in
        )


@final
@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """One claim of a lease, which is sent to the backend with each step.

    Attributes:
        key: the name of the lease as short ASCII text.
        id: unique for each claim.
        ttl: seconds that the lease lasts.
        owner: the requester, as JSON.
        queues: whether to keep a place among the waiters.
    """

    key: str
    id: str
    ttl: float
    owner: str
    queues: bool


@final
@dataclass(frozen=True, slots=True)
class Granted:
    """The claim has the lease.

    Attributes:
        token: the fencing token.
    """

    token: int


@final
@dataclass(frozen=True, slots=True)
class Refused:
    """The claim does not have the lease.

    Attributes:
        again_in: seconds until it may get the lease, if nothing changes before.
        ahead: the number of waiters ahead of it.
        owner: the holder of the lease, as JSON; empty if there is none.
        problem: why the server grants no leases at present; empty if it does.
    """

    again_in: float
    ahead: int = 0
    owner: str = ""
    problem: str = ""


class Unreachable(Exception):  # noqa: N818 - users never see it
    """The server did not answer; a retry of the same request may succeed."""


class ClaimBell(Protocol):
    """Rings when a claim should ask again."""

    async def wait(self, seconds: float) -> None:
        """Wait until it rings, or has rung since the last wait; at most `seconds`."""


class Backend(Protocol):
    """The steps of a lease at one server.

    All except `listening` raise `Unreachable` if the server does not answer, and
    `LeaseServerError` if it refuses the request.
    """

    @property
    def server(self) -> str:
        """The server, without credentials, for errors. Equal for the same server."""
        ...

    def connected(self) -> AbstractAsyncContextManager[object]:
        """Keep connections open in this block. All other methods are called within one."""
        ...

    def claim_id(self) -> str:
        """Return an id for a new claim."""
        ...

    async def ask(self, request: LeaseRequest) -> Granted | Refused:
        """Request the lease. A repeated request after it was granted renews it."""
        ...

    def listening(self, request: LeaseRequest) -> AbstractAsyncContextManager[ClaimBell]:
        """Return a bell that rings in this block when the lease may be free for this claim."""
        ...

    async def renew(self, request: LeaseRequest, token: int) -> bool:
        """Renew the lease; return false if the claim does not have it any more."""
        ...

    async def withdraw(self, request: LeaseRequest) -> None:
        """Release the lease, or the place among the waiters, and wake the next waiter."""
        ...

    async def holders(self) -> tuple[Holder, ...]:
        """Return the holders of all leases, ordered by name."""
        ...


def key_of(name: str) -> str:
    """Return the name of a lease as text that all servers and file systems can store.

    Different names have different keys. The end of a very long key is replaced by a digest.

    Example:
        >>> key_of("shard 7/a")
        'shard%207%2Fa'
    """
    key = quote(name, safe="", errors="surrogatepass")
    if len(key) > _MAX_KEY_CHARACTERS:
        digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        key = f"{key[:100]}~{digest}"
    return key.replace(".", "%2E")  # or "." and ".." would be folders
