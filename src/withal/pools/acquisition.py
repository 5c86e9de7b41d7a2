"""One use of a pool's resource, from the wait for it until its return to the pool."""

from __future__ import annotations

from asyncio import CancelledError, current_task
from contextlib import AbstractAsyncContextManager
from types import CodeType, TracebackType
from typing import Generic, TypeVar, final

from withal._core.causes import comes_of
from withal._core.errors import AlreadyEnteredError
from withal._core.events import Event, Outcome, Step, emit, next_id
from withal._core.managers import EmitsEvents
from withal._core.outcome import outcome_of, raise_unchanged
from withal._core.scopes.closing import begin_closing, requests_seen
from withal._core.scopes.stages import Closing
from withal.pools.engine import Engine
from withal.pools.hosting import Call
from withal.pools.member import HELD, Member
from withal.pools.statistics import Reason
from withal.pools.use import Use

T = TypeVar("T")


@final
class Acquisition(Use, AbstractAsyncContextManager[T], EmitsEvents, Generic[T]):
    """The context manager that ``pool.acquire()`` returns; it can be entered once.

    Args:
        engine: the engine of the pool.
        timeout: seconds to wait for a resource, or None for no limit.
        code: the function that has called ``acquire``.
        offset: the offset of the call in `code`.
    """

    __slots__ = ("_engine", "_id", "_member", "_observers", "_timeout")

    since: float

    def __init__(self, engine: Engine, timeout: float | None, code: CodeType, offset: int) -> None:
        super().__init__(code, offset)
        self._engine = engine
        self._timeout = timeout
        self._member: Member | None = None
        self._observers = engine.keeper.observers

    def __repr__(self) -> str:
        return f"<acquisition of {self._engine.options.name!r}>"

    def _delegate_events(self, name: str | None) -> tuple[str, str]:
        """Send no events from now on; the scope that enters this sends them."""
        self._observers = ()
        return name or self._engine.options.name, "acquisition"

    async def __aenter__(self) -> T:
        engine = self._engine
        if self.task is not None:
            raise AlreadyEnteredError(repr(self))
        if not engine.home.is_here():
            engine.home.check()
        self.belongs_to(current_task())
        if engine.queue.closed:
            raise engine.closed_error()
        self.since = now = engine.clock()
        if self._observers:
            self._id = next_id()
            self._send(Step.OPENING)
        member = engine.queue.take(self, now)
        if member is None:
            try:
                member = await engine.wait(self, self._timeout)
            except BaseException as exc:
                if self._observers:
                    self._send(Step.FAILED, outcome_of(exc))
                raise
        self._member = member
        self._has_begun = True
        if engine.long_uses is not None:
            engine.long_uses.watch()
        if self._observers:
            self._send(Step.OPENED)
        return member.value  # type: ignore[no-any-return]  # typed by Pool.acquire

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        member = self._member
        engine = self._engine
        if member is None:
            raise RuntimeError(f"{self!r} was exited without having been entered; use `async with`")
        if not engine.home.is_here():
            engine.home.check()
        self._member = None
        self._has_begun = False
        if self._observers:
            self._send(Step.CLOSING)
        if exc is not None or not engine.is_plain or member.discarded or member.state is not HELD:
            return await self._end(member, exc)
        engine.give_back(member)
        if self._observers:
            self._send(Step.CLOSED, Outcome.OK)
        return None

    async def _end(self, member: Member, exc: BaseException | None) -> bool:
        """Return the resource to the pool or close it, and raise the resulting error, if any."""
        engine = self._engine
        floor = requests_seen(engine.held, current_task(), exc)
        reason = _reason_to_close(member, exc, engine.clock())
        call = cancellation = None
        if engine.options.reset is not None and reason in _MAY_BE_RESET and member.state is HELD:
            call = Call(engine.silent, f"reset of {self._name}", engine.options.reset, member.value)
            cancellation = await call.run(engine.options.close_timeout)
            reason = (
                _reason_to_close(member, None, engine.clock()) if call.is_good else Reason.RESET
            )
        closing = None
        if exc is not None or reason is not None or cancellation is not None:
            closing = begin_closing(engine.held, exc, current_task())
            closing.floor = floor
            closing.result.record_cancellation(cancellation)
            if call is not None:
                call.report_to(closing)
        if member.state is HELD:  # else the pool's deadline has passed and it has closed this one
            await self._give_up(member, reason, closing)
        error = None
        if closing is not None or self.has_died:
            closing = closing or begin_closing(engine.held, None, current_task())
            error = self.conclude(engine.held, closing, self._name)
        if self._observers:
            self._send(Step.CLOSED, outcome_of(error))
        if error is not None and error is not exc:
            raise_unchanged(error)
        return exc is not None and error is None

    async def _give_up(
        self, member: Member, reason: Reason | None, closing: Closing | None
    ) -> None:
        engine = self._engine
        if reason is None or closing is None:
            engine.give_back(member)
        else:
            engine.queue.retire(member, reason)
            engine.users.look()
            await engine.closers.close(member, closing)

    @property
    def _name(self) -> str:
        return self._engine.options.name

    def _send(self, step: Step, outcome: Outcome | None = None) -> None:
        engine = self._engine
        task = "" if self.task is None else self.task.get_name()
        event = Event(
            step,
            engine.clock(),
            self._id,
            engine.options.name,
            "acquisition",
            engine.held.names,
            task,
            outcome,
        )
        emit(self._observers, event)


_MAY_BE_RESET = (None, Reason.CANCELLED)


def _reason_to_close(member: Member, exc: BaseException | None, now: float) -> Reason | None:
    """Return the reason to close a resource after its use; None if it can be used again."""
    if member.host is not None and member.host.lost:
        return Reason.LOST
    if member.discarded:
        return Reason.DISCARDED
    if exc is not None and (not isinstance(exc, Exception) or comes_of(exc, CancelledError)):
        return Reason.CANCELLED
    return Reason.AGE if now >= member.expires_at else None
