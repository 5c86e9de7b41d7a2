"""What a backend does, step by step, and what it is asked and answers.

Each step is atomic at the server, and only the server's clock decides it. A step may be repeated:
a claim is known by its id, so that an answer that was lost can be asked for again.
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

_LONGEST_KEY = 200  # a file name has 255 bytes at most, and an index of PostgreSQL some 2,700


@final
@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease, as the server knows it.

    Attributes:
        name: the name of the lease.
        token: its fencing token.
        host: the name of the machine.
        process: the process id there.
        task: the name of the task that holds it.
        line: the file and line that asked for it.
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
class Owner:
    """Who asks for a lease, as it is stored at the server."""

    name: str
    host: str
    process: int
    task: str
    line: str

    @classmethod
    def here(cls, name: str, task: str, line: str) -> Owner:
        """Return the owner that this process is."""
        return cls(name, socket.gethostname(), os.getpid(), task, line)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, task {self.task!r} at {self.line}"

    def to_json(self) -> str:
        """Return it as text; in ASCII, whatever is in it."""
        return json.dumps([self.name, self.host, self.process, self.task, self.line])

    @classmethod
    def from_json(cls, text: str) -> Owner:
        """Return what `to_json` was given."""
        return cls(*json.loads(text))

    def holder(self, token: int, held_for: float, expires_in: float) -> Holder:
        """Return it as the holder of a lease."""
        return Holder(
            self.name, token, self.host, self.process, self.task, self.line, held_for, expires_in
        )


@final
@dataclass(frozen=True, slots=True)
class Request:
    """One claim of a lease: what a backend is asked for, again and again.

    Attributes:
        key: the name of the lease as text of a few plain ASCII characters.
        id: different for each claim.
        ttl: seconds that the lease lasts.
        owner: who asks, as JSON.
        queues: whether to keep a place among those that wait.
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
        again_in: seconds until it may have it, if nothing changes before.
        ahead: how many are waiting ahead of it.
        owner: who holds the lease, as JSON; empty if none does.
        problem: why the server grants nothing at all just now, if so.
    """

    again_in: float
    ahead: int = 0
    owner: str = ""
    problem: str = ""


class Unreachable(Exception):  # noqa: N818 - it is never raised to the user as it is
    """The server did not answer; the same request may be answered later."""


class Bell(Protocol):
    """Rings when a claim should ask again."""

    async def wait(self, seconds: float) -> None:
        """Wait until it rings, or has rung since the last wait; so many seconds at most."""


class Backend(Protocol):
    """The steps of a lease at one server.

    All but `listening` raise `Unreachable` where the server does not answer, and
    `LeaseServerError` where it refuses to serve.
    """

    @property
    def server(self) -> str:
        """The server, without credentials, for errors. Equal for equal servers."""
        ...

    def connected(self) -> AbstractAsyncContextManager[object]:
        """Keep connections open between the steps in this block. All else is used within one."""
        ...

    def claim_id(self) -> str:
        """Return an id for a new claim."""
        ...

    async def ask(self, request: Request) -> Granted | Refused:
        """Ask for the lease. Asking again after it was granted renews it."""
        ...

    def listening(self, request: Request) -> AbstractAsyncContextManager[Bell]:
        """Have a bell ring in this block when the lease may be free for this claim."""
        ...

    async def renew(self, request: Request, token: int) -> bool:
        """Renew the lease, if the claim still has it."""
        ...

    async def withdraw(self, request: Request) -> None:
        """Give back the lease, or the place among those that wait, and wake who is next."""
        ...

    async def holders(self) -> tuple[Holder, ...]:
        """Return who holds what, ordered by name."""
        ...


def key_of(name: str) -> str:
    """Return the name of a lease as text that any server and file system can store.

    Different names have different keys; of a very long one the end is replaced by a digest.

    Example:
        >>> key_of("shard 7/a")
        'shard%207%2Fa'
    """
    key = quote(name, safe="", errors="surrogatepass")
    if len(key) > _LONGEST_KEY:
        digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        key = f"{key[:100]}~{digest}"
    return key.replace(".", "%2E")  # or "." and ".." would be folders
