"""The errors of pools and shared resources: each names the holders and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from withal._core.errors import CloseTimeoutError, WithalError
from withal.pools.statistics import Holder

_SHOWN_HOLDERS = 10  # of the holders, in a message


@final
class PoolClosedError(WithalError):
    """A pool was used before it was entered, or after it began to close.

    `Shared`, `Keyed` and `Reloadable` raise it too, when their scope has closed.

    Attributes:
        pool: the pool's name.
        state: ``"new"``, ``"closing"`` or ``"closed"``.
    """

    __module__ = "withal.pools"

    def __init__(self, pool: str, state: str) -> None:
        self.pool = pool
        self.state = state
        super().__init__(pool, state)

    def __str__(self) -> str:
        if self.state == "new":
            return f"pool {self.pool!r} is not open yet; enter it first, with `async with pool:`"
        return (
            f"pool {self.pool!r} is {self.state} and accepts no new users; "
            "acquire before the body of its `async with` ends"
        )


@final
class PoolTimeoutError(WithalError, TimeoutError):
    """No resource became free in time.

    If an opening has failed in the meantime, its error is the cause of this one.

    Attributes:
        pool: the pool's name.
        timeout: the seconds that the task has waited.
        size: the size of the pool.
        holders: the holders of its resources, the longest first.
        preparing: the number of resources that were being opened, checked, reset or closed.
    """

    __module__ = "withal.pools"

    def __init__(
        self, pool: str, timeout: float, size: int, holders: tuple[Holder, ...], preparing: int
    ) -> None:
        self.pool = pool
        self.timeout = timeout
        self.size = size
        self.holders = holders
        self.preparing = preparing
        super().__init__(pool, timeout, size, holders, preparing)

    def __str__(self) -> str:
        text = f"pool {self.pool!r}: none of {self.size} was free within {self.timeout:.3g} s"
        if self.holders:
            text += f"; held by {_listed(self.holders)}"
        if self.preparing:
            text += f"; {self.preparing} being opened, checked, reset or closed"
        return text + "; hold each for a shorter time, or make the pool larger (size=)"


@final
class PoolFullError(WithalError):
    """The maximum number of tasks is waiting for the pool already.

    Attributes:
        pool: the pool's name.
        max_waiting: the maximum number of waiting tasks.
        holders: the holders of its resources, the longest first.
    """

    __module__ = "withal.pools"

    def __init__(self, pool: str, max_waiting: int, holders: tuple[Holder, ...]) -> None:
        self.pool = pool
        self.max_waiting = max_waiting
        self.holders = holders
        super().__init__(pool, max_waiting, holders)

    def __str__(self) -> str:
        held = f"; held by {_listed(self.holders)}" if self.holders else ""
        return (
            f"pool {self.pool!r}: {self.max_waiting} tasks wait, which is the maximum{held}; "
            "try again later, or increase max_waiting"
        )


@final
class PoolDeadlockError(WithalError):
    """A task that holds all resources of a pool tried to acquire one more: it would deadlock.

    Attributes:
        pool: the pool's name.
        task: the name of the task.
        site: the file and line of the attempt.
        holders: the task's own uses, with the lines where it acquired them.
    """

    __module__ = "withal.pools"

    def __init__(self, pool: str, task: str, site: str, holders: tuple[Holder, ...]) -> None:
        self.pool = pool
        self.task = task
        self.site = site
        self.holders = holders
        super().__init__(pool, task, site, holders)

    def __str__(self) -> str:
        sites = ", ".join(holder.site for holder in self.holders[:_SHOWN_HOLDERS])
        count = len(self.holders)
        what = "the only resource" if count == 1 else f"all {count} resources"
        return (
            f"deadlock: task {self.task!r} holds {what} of pool {self.pool!r}, acquired at "
            f"{sites}, and tries to acquire one more at {self.site}; "
            "use the one that it holds, or release it first"
        )


@final
class PoolCloseTimeoutError(CloseTimeoutError):
    """The deadline of closing a pool passed while resources of it were still held.

    They were closed nevertheless, while they were in use.

    Attributes:
        holders: their holders, the longest first.
    """

    __module__ = "withal.pools"

    def __init__(
        self,
        scope: str,
        timeout: float,
        resources: tuple[str, ...],
        abandoned: tuple[str, ...] = (),
        hurried: bool = False,
        holders: tuple[Holder, ...] = (),
    ) -> None:
        super().__init__(scope, timeout, resources, abandoned, hurried)
        self.holders = holders
        self.args: tuple[object, ...] = (*self.args, holders)

    def __str__(self) -> str:
        return (
            f"{self.scope!r} was closed after {self.timeout:.3g} s while held by "
            f"{_listed(self.holders)}; end these uses first, or give it a longer close_timeout"
        )


@final
class NotHeldError(WithalError, LookupError):
    """The value passed to `Pool.discard` is not held: it is not the pool's, or was returned.

    Attributes:
        pool: the pool's name.
        resource: the ``repr`` of the value.
    """

    __module__ = "withal.pools"

    def __init__(self, pool: str, resource: str) -> None:
        self.pool = pool
        self.resource = resource
        super().__init__(pool, resource)

    def __str__(self) -> str:
        return (
            f"{self.resource} is not held from pool {self.pool!r}; pass the same object that "
            "acquire() returned, before its block ends"
        )


@final
class HeldTooLongWarning(UserWarning):
    """A resource has been held for longer than the pool's `held_too_long`."""

    __module__ = "withal.pools"


def _listed(holders: Sequence[Holder]) -> str:
    shown = ", ".join(map(str, holders[:_SHOWN_HOLDERS]))
    more = len(holders) - _SHOWN_HOLDERS
    return f"{shown} and {more} more" if more > 0 else shown
