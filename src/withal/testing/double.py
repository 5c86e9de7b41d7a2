"""A double for a resource: a test decides when and how it opens and closes."""

from __future__ import annotations

import asyncio
import enum
from types import TracebackType
from typing import final

from withal._core.errors import AlreadyEnteredError, WithalError


@final
class ResourceState(enum.Enum):
    """Where a double stands. It only ever moves down this list, and may skip."""

    NEW = "new"
    OPENING = "opening"
    FAILED = "failed"  # it did not open: it was failed, or cancelled
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"  # its exit has ended, with an error or without


_PAST_OPENING = (ResourceState.OPEN, ResourceState.CLOSING, ResourceState.CLOSED)


@final
class OutOfStepError(WithalError):
    """A double was told, asked or waited for something that its state does not allow.

    Attributes:
        resource: the double's name.
        step: the method that was called.
        state: the double's state.
        advice: what to do.
    """

    __module__ = "withal.testing"

    def __init__(self, resource: str, step: str, state: str, advice: str) -> None:
        self.resource = resource
        self.step = step
        self.state = state
        self.advice = advice
        super().__init__(resource, step, state, advice)

    def __str__(self) -> str:
        return f"{self.step}() of {self.resource!r}, which is {self.state}: {self.advice}"


@final
class Resource:
    """A context manager that a test steps through; entering it returns the double itself.

    It opens and closes at once, or after `opening` and `closing` seconds. With `hold` each waits
    until the test lets it or fails it. A cancellation ends an opening or closing that waits. It
    serves once.

    Args:
        name: what it is called in errors.
        hold: wait to be let open, and to be let close. May be set later, for the steps to come.
        opening: seconds of the loop's clock that it takes to open, once it may.
        closing: seconds that it takes to close, once it may.

    Raises:
        ValueError: a time is negative.

    Attributes:
        state: where it stands.
        seen: the exception that its exit saw, or None.
        error: what its opening or closing ended with, or None.
        enters: how often it was entered, counting attempts.
        exits: how often it was exited, counting attempts.

    Example:
        >>> import asyncio
        >>> from withal import Scope, testing
        >>> async def main() -> None:
        ...     db = testing.Resource("db", hold=True)
        ...     async with Scope("app") as scope:
        ...         opening = asyncio.create_task(scope.enter(db))
        ...         await db.wait_opening()
        ...         db.fail_opening(OSError("refused"))
        ...         try:
        ...             await opening
        ...         except OSError as error:
        ...             print(error, db.state, db.exits)
        >>> testing.run(main())
        refused ResourceState.FAILED 0
    """

    def __init__(
        self, name: str = "resource", *, hold: bool = False, opening: float = 0, closing: float = 0
    ) -> None:
        if opening < 0 or closing < 0:
            raise ValueError(
                f"{name!r}: opening and closing are seconds, zero or more; "
                f"got {opening!r} and {closing!r}"
            )
        self.name = name
        self.hold = hold
        self.state: ResourceState = ResourceState.NEW
        self.seen: BaseException | None = None
        self.error: BaseException | None = None
        self.enters: int = 0
        self.exits: int = 0
        self._seconds = {ResourceState.OPENING: opening, ResourceState.CLOSING: closing}
        self._gate: asyncio.Future[BaseException | None] | None = None
        self._reached = {state: asyncio.Event() for state in ResourceState}

    def __repr__(self) -> str:
        return f"<Resource {self.name!r} {self.state.value}>"

    async def __aenter__(self) -> Resource:
        """Open it.

        Raises:
            AlreadyEnteredError: it was entered before.
        """
        self.enters += 1
        if self.state is not ResourceState.NEW:
            raise AlreadyEnteredError(self.name)
        try:
            await self._pass(ResourceState.OPENING)
        except BaseException:
            self._move(ResourceState.FAILED)
            raise
        self._move(ResourceState.OPEN)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it.

        Raises:
            OutOfStepError: it is not open, so that whoever exits it has lost count.
        """
        self.exits += 1
        if self.state is not ResourceState.OPEN:
            raise self._out_of_step("__aexit__", "exit a resource once, after it has opened")
        self.seen = exc
        try:
            await self._pass(ResourceState.CLOSING)
        finally:
            self._move(ResourceState.CLOSED)

    def let_open(self) -> None:
        """Let it open. `OutOfStepError` if it is not waiting for that."""
        self._answer("let_open", ResourceState.OPENING, None)

    def fail_opening(self, error: BaseException) -> None:
        """Have its opening raise this. `OutOfStepError` if it is not waiting to open."""
        self._answer("fail_opening", ResourceState.OPENING, error)

    def let_close(self) -> None:
        """Let it close. `OutOfStepError` if it is not waiting for that."""
        self._answer("let_close", ResourceState.CLOSING, None)

    def fail_closing(self, error: BaseException) -> None:
        """Have its closing raise this. `OutOfStepError` if it is not waiting to close."""
        self._answer("fail_closing", ResourceState.CLOSING, error)

    async def wait_opening(self) -> None:
        """Wait until it has begun to open."""
        await self._reached[ResourceState.OPENING].wait()

    async def wait_open(self) -> None:
        """Wait until it has opened. `OutOfStepError` when that fails."""
        await self._wait("wait_open", ResourceState.OPEN)

    async def wait_closing(self) -> None:
        """Wait until it has begun to close. `OutOfStepError` when it does not even open."""
        await self._wait("wait_closing", ResourceState.CLOSING)

    async def wait_closed(self) -> None:
        """Wait until its exit has ended. `OutOfStepError` when it does not even open."""
        await self._wait("wait_closed", ResourceState.CLOSED)

    async def _wait(self, step: str, state: ResourceState) -> None:
        await self._reached[state].wait()
        if self.state is ResourceState.FAILED:
            raise self._out_of_step(step, f"it will not get there; it failed with {self.error!r}")

    async def _pass(self, state: ResourceState) -> None:
        """Be in this state as long as the test wants, and end it as the test wants."""
        self._move(state)
        try:
            if self.hold:
                await self._wait_told()
            if self._seconds[state]:
                await asyncio.sleep(self._seconds[state])
        except BaseException as exc:
            self.error = exc
            raise
        finally:
            self._gate = None

    async def _wait_told(self) -> None:
        self._gate = asyncio.get_running_loop().create_future()
        error = await self._gate
        if error is not None:
            raise error

    def _move(self, state: ResourceState) -> None:
        self.state = state
        self._reached[state].set()
        if state is ResourceState.FAILED:
            for each in _PAST_OPENING:  # they will not come, as who waits for them is to hear
                self._reached[each].set()

    def _answer(self, step: str, state: ResourceState, error: BaseException | None) -> None:
        if self.state is not state or self._gate is None or self._gate.done():
            raise self._out_of_step(step, self._advice(state))
        # As a result: an exception set on a future that is cancelled meanwhile would be logged.
        self._gate.set_result(error)

    def _advice(self, wanted: ResourceState) -> str:
        if self._gate is not None and self._gate.done():
            return "it has been told already, once is enough"
        if not self.hold:
            return "it does not wait to be told; make it with hold=True"
        if self.state in (ResourceState.NEW, ResourceState.OPEN):
            return f"it is not {wanted.value} yet; first await wait_{wanted.value}()"
        return f"it is not waiting in {wanted.value}"

    def _out_of_step(self, step: str, advice: str) -> OutOfStepError:
        return OutOfStepError(self.name, step, self.state.value, advice)
