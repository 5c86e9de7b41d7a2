"""A test double of a resource: the test decides when and how it opens and closes."""

from __future__ import annotations

import asyncio
import enum
from types import TracebackType
from typing import final

from withal._core.errors import AlreadyEnteredError, WithalError


@final
class ResourceState(enum.Enum):
    """The state of a double. It only moves down this list, and may skip members."""

    NEW = "new"
    OPENING = "opening"
    FAILED = "failed"  # it did not open: `fail_opening` was called, or it was cancelled
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"  # its exit has ended, with or without an error


_PAST_OPENING = (ResourceState.OPEN, ResourceState.CLOSING, ResourceState.CLOSED)


@final
class OutOfStepError(WithalError):
    """A method of a double was called that its state does not allow.

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
    """A context manager whose steps a test controls; entering it returns the double itself.

    It opens and closes immediately, or after `opening` and `closing` seconds. With `hold`, each
    step waits until the test calls `let_open`, `fail_opening`, `let_close` or `fail_closing`. A
    cancellation ends a step that waits. It can be entered once.

    Args:
        name: its name in errors.
        hold: whether opening and closing wait for the test. May be changed for later steps.
        opening: seconds of the loop's clock that opening takes, after `let_open` if `hold` is set.
        closing: the same for closing.

    Raises:
        ValueError: if a time is negative.

    Attributes:
        state: its state.
        seen: the exception that its exit was called with, or None.
        error: the exception with which its opening or closing has ended, or None.
        enters: how often it was entered, including failed attempts.
        exits: how often it was exited, including failed attempts.

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
                f"{name!r}: opening and closing must be zero or more seconds; "
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
            AlreadyEnteredError: if it was entered before.
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
            OutOfStepError: if it is not open: it was exited twice, or without having opened.
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
        """Let it open. Raises `OutOfStepError` if it is not waiting for that."""
        self._answer("let_open", ResourceState.OPENING, None)

    def fail_opening(self, error: BaseException) -> None:
        """Make its opening raise `error`. Raises `OutOfStepError` if it is not waiting to open."""
        self._answer("fail_opening", ResourceState.OPENING, error)

    def let_close(self) -> None:
        """Let it close. Raises `OutOfStepError` if it is not waiting for that."""
        self._answer("let_close", ResourceState.CLOSING, None)

    def fail_closing(self, error: BaseException) -> None:
        """Make its closing raise `error`. Raises `OutOfStepError` if it is not waiting to close."""
        self._answer("fail_closing", ResourceState.CLOSING, error)

    async def wait_opening(self) -> None:
        """Wait until it has begun to open."""
        await self._reached[ResourceState.OPENING].wait()

    async def wait_open(self) -> None:
        """Wait until it has opened. Raises `OutOfStepError` if opening fails."""
        await self._wait("wait_open", ResourceState.OPEN)

    async def wait_closing(self) -> None:
        """Wait until it has begun to close. Raises `OutOfStepError` if it does not open."""
        await self._wait("wait_closing", ResourceState.CLOSING)

    async def wait_closed(self) -> None:
        """Wait until its exit has ended. Raises `OutOfStepError` if it does not open."""
        await self._wait("wait_closed", ResourceState.CLOSED)

    async def _wait(self, step: str, state: ResourceState) -> None:
        await self._reached[state].wait()
        if self.state is ResourceState.FAILED:
            raise self._out_of_step(step, f"it will not get there; it failed with {self.error!r}")

    async def _pass(self, state: ResourceState) -> None:
        """Enter this state, and wait until the test or the time ends it."""
        self._move(state)
        try:
            if self.hold:
                await self._wait_for_answer()
            if self._seconds[state]:
                await asyncio.sleep(self._seconds[state])
        except BaseException as exc:
            self.error = exc
            raise
        finally:
            self._gate = None

    async def _wait_for_answer(self) -> None:
        self._gate = asyncio.get_running_loop().create_future()
        error = await self._gate
        if error is not None:
            raise error

    def _move(self, state: ResourceState) -> None:
        self.state = state
        self._reached[state].set()
        if state is ResourceState.FAILED:
            for each in _PAST_OPENING:  # wake the waiters, which raise then
                self._reached[each].set()

    def _answer(self, step: str, state: ResourceState, error: BaseException | None) -> None:
        if self.state is not state or self._gate is None or self._gate.done():
            raise self._out_of_step(step, self._advice(state))
        # As a result, not as an exception: that would be logged if the waiter was cancelled.
        self._gate.set_result(error)

    def _advice(self, wanted: ResourceState) -> str:
        if self._gate is not None and self._gate.done():
            return "this step was already released or failed; call one of these methods only once"
        if not self.hold:
            return "it does not wait for the test; create it with hold=True"
        if self.state in (ResourceState.NEW, ResourceState.OPEN):
            return f"it is not {wanted.value} yet; first await wait_{wanted.value}()"
        return f"it is not waiting in {wanted.value}"

    def _out_of_step(self, step: str, advice: str) -> OutOfStepError:
        return OutOfStepError(self.name, step, self.state.value, advice)
