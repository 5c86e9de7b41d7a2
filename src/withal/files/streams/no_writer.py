"""The writer of a file that is only read: it is always idle, and accepts no data."""

from __future__ import annotations

import io
from asyncio import Future
from collections.abc import Callable
from typing import NoReturn, final


@final
class Idle:
    """The stand-in for a `Writer` of files that cannot be written.

    There is only one, since it has no state.
    """

    __slots__ = ()

    room = -1
    buffered = 0
    is_idle = True
    position = 0
    sends_itself = False

    @property
    def parts(self) -> list[bytes]:
        """Return an empty list: nothing is buffered."""
        return []

    def move(self, position: int) -> None:
        """Do nothing."""

    def pause(self) -> None:
        """Do nothing: there is no room."""

    def resume(self) -> None:
        """Do nothing: there is no room."""

    def put(self, data: bytes) -> NoReturn:
        """Refuse."""
        raise io.UnsupportedOperation(f"write of {len(data)} bytes")

    async def wait_room(self) -> None:
        """Do not wait."""

    async def drain(self) -> None:
        """Do not wait."""

    async def call_alone(self, function: Callable[..., object], *_: object) -> NoReturn:
        """Refuse."""
        raise io.UnsupportedOperation(function.__name__)

    def finish(self) -> Future[None]:
        """Raise an error: a file that is only read has nothing to write."""
        raise io.UnsupportedOperation("finish")

    def end(self) -> None:
        """Do nothing."""

    def let_go(self) -> None:
        """Do nothing."""


IDLE = Idle()
