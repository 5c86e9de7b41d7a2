"""What a random program did, as its probes report it, and whether it kept the laws.

The witness believes nothing that withal says of itself: it counts the steps that managers, tasks
and callbacks take, and what each operation was asked and raised.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from withal import (
    CloseTimeoutError,
    NotOpenError,
    ResourceLostError,
    Scope,
    ScopeClosedError,
    StillNeededError,
)

# Closing.LAST_CALL_SECONDS, and twice a ABANDON_AFTER_SECONDS for each of what is late.
LAST_CALL_SECONDS = 0.25
MOMENTS = 0.05

# Where nothing is planted, a program raises nothing but these.
EXPECTED = (
    asyncio.CancelledError,
    CloseTimeoutError,
    NotOpenError,
    ResourceLostError,
    ScopeClosedError,
    StillNeededError,
    TimeoutError,
)


class PlantedError(Exception):
    """An error that the program plans to raise."""


@dataclass(eq=False)
class ScopeRecord:
    """A scope of the program, and when its body left and it was closed, in steps and seconds."""

    name: str
    close_timeout: float
    around: ScopeRecord | None
    element: Held | None  # what it is in the scope around, where it was entered into that
    task: asyncio.Task[Any] | None  # in which it was made
    leaves: int | None = None
    left: int | None = None
    leaves_at: float = 0

    def __iter__(self) -> Iterator[ScopeRecord]:
        record: ScopeRecord | None = self
        while record is not None:
            yield record
            record = record.around


@dataclass(eq=False)
class Held:
    """One thing that a scope holds, and the steps at which something happened to it."""

    name: str
    record: ScopeRecord
    is_inline: bool = False
    is_scope: bool = False
    is_task: bool = False
    is_callback: bool = False
    is_declared: bool = False
    is_synchronous: bool = False
    value: Any = None
    task: asyncio.Task[Any] | None = None
    needs: tuple[Held, ...] = ()
    opening: int | None = None
    opened: int | None = None
    returned: int | None = None
    closing: int | None = None
    closed: int | None = None
    died: int | None = None
    released: bool = False
    times_closed: int = 0

    @property
    def is_open(self) -> bool:
        return self.opened is not None and self.closing is None and self.closed is None

    @property
    def has_leaked(self) -> bool:
        return self.opened is not None and self.closed is None and not self.is_scope

    @property
    def chain(self) -> Iterator[Held]:
        """It, and the scopes that hold it, as what they are in the scope around."""
        held: Held | None = self
        while held is not None:
            yield held
            held = held.record.element

    def __str__(self) -> str:
        return f"{self.name!r} in {self.record.name!r}"


@dataclass
class Operation:
    """Something that was asked of a scope: what it is to open, and when it was asked."""

    record: ScopeRecord
    held: list[Held]
    began: int
    is_open_call: bool
    names: frozenset[str] = frozenset()  # of the declared resources asked for, and all they need
    overlaps: bool = False

    def got(self, values: Sequence[Held]) -> None:
        self.held = list(values)


@dataclass
class Witness:
    """What a program did.

    Args:
        is_exact: nothing in it may rightly swallow a cancellation.
    """

    is_exact: bool
    accepted: int = 0
    is_over: bool = False
    requests: int | None = None  # None: it was cancelled before it had begun
    raised: BaseException | None = None
    unhandled: list[dict[str, Any]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    all_held: list[Held] = field(default_factory=list)
    planted: list[PlantedError] = field(default_factory=list)
    _step: int = 0
    _seen: list[BaseException] = field(default_factory=list)
    _dropped: list[BaseException] = field(default_factory=list)
    _scopes: list[tuple[ScopeRecord, Scope]] = field(default_factory=list)
    _open_calls: list[Operation] = field(default_factory=list)
    _asked: list[Operation] = field(default_factory=list)
    _has_abandoned: bool = False
    _repeated: set[asyncio.Task[Any]] = field(default_factory=set)
    _lost_to_timeout: set[asyncio.Task[Any]] = field(default_factory=set)
    _leaks: list[tuple[Held, str]] = field(default_factory=list)

    # What happens

    def opening(self, held: Held) -> None:
        held.opening = self._next()
        self.all_held.append(held)
        if not (held.is_scope or held.is_task or held.is_callback or held.is_synchronous):
            held.task = asyncio.current_task()

    def opened(self, held: Held) -> None:
        held.opened = self._next()

    def closing(self, held: Held) -> None:
        if held.closing is not None:
            return  # by the task group in it
        held.closing = self._next()
        if held.opened is None:
            self._violation(1, f"{held} is closed, and was not open")
        if not held.is_task and held.task is not None and held.task is not asyncio.current_task():
            self._violation(4, f"{held} was entered in another task than it is exited in")

    def closed(self, held: Held) -> None:
        held.closed = self._next()
        held.times_closed += 1

    def died(self, held: Held) -> None:
        if held.died is None and held.is_open and held.returned is not None:
            held.died = self._next()

    def repeated(self) -> None:
        """Record that a task group of asyncio has failed in a task that is being cancelled.

        Since 3.13 it repeats that cancellation, without the message by which an anyio scope
        recognizes its own: the scope lets it pass, and the task ends cancelled.
        https://docs.python.org/3/library/asyncio-task.html#asyncio.TaskGroup
        """
        task = asyncio.current_task()
        assert task is not None
        if sys.version_info >= (3, 13) and task.cancelling() > self.accepted:
            self._repeated.add(task)

    def lost_to_timeout(self, task: asyncio.Task[Any]) -> None:
        """Record that an `asyncio.timeout` has expired that began while a cancellation was pending.

        It counts that request as one from before, and raises `TimeoutError` in place of the
        cancellation if this arrives together with its own.
        https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.uncancel
        """
        self._lost_to_timeout.add(task)

    def plant(self, text: str) -> PlantedError:
        error = PlantedError(text)
        self.planted.append(error)
        return error

    def saw(self, error: BaseException) -> None:
        self._seen.append(error)

    def dropped(self, error: BaseException | None) -> None:
        """Hear of an error that the program has caught, or a manager suppressed."""
        if error is not None:
            self._dropped.append(error)

    def keep(self, record: ScopeRecord, scope: Scope) -> None:
        self._scopes.append((record, scope))

    @contextmanager
    def operation(
        self, record: ScopeRecord, held: list[Held], names: frozenset[str] = frozenset()
    ) -> Generator[Operation]:
        """Something is asked of a scope, which opens all of these or raises."""
        operation = Operation(record, held, self._next(), not held, names)
        if operation.is_open_call:
            self._asked.append(operation)
            self._open_calls.append(operation)
            for each in self._open_calls:
                each.overlaps |= len(self._open_calls) > 1
        try:
            yield operation
        except BaseException as error:
            self.saw(error)
            self._has_raised(operation)
            raise
        finally:
            if operation.is_open_call:
                self._open_calls.remove(operation)
        for held_now in operation.held:
            if held_now.returned is None:
                held_now.returned = self._next()
            if not held_now.is_open and self._is_open(record):
                self._violation(2, f"{held_now} was returned, and is not open")
        self._check_not_late(operation)

    def _has_raised(self, operation: Operation) -> None:
        if operation.is_open_call and not self._is_open(operation.record):
            return  # what an earlier round of it had opened is for the scope that closes
        opened = operation.held
        if operation.is_open_call and not operation.overlaps:
            opened = [
                each
                for each in self.all_held
                if each.record is operation.record
                and (each.opening or 0) > operation.began
                and each.returned is None
                and each.is_declared
            ]
        for each in opened:
            if each.has_leaked and not self._abandons():
                self._leak(each, f"law 2: {each} is left open by an opening that raised")
        self._check_not_late(operation)

    def _check_not_late(self, operation: Operation) -> None:
        leaves = operation.record.leaves
        if leaves is not None and operation.began > leaves:
            for each in operation.held:
                if each.opened is not None and each.opening and each.opening > operation.began:
                    self._violation(9, f"{each} was opened in a scope that was closing")

    @contextmanager
    def release(self, held: Held) -> Generator[None]:
        was_released, held.released = held.released, True
        try:
            yield
        except (NotOpenError, StillNeededError):
            held.released = was_released
            return
        except BaseException as error:
            self.saw(error)
            self._check_released(held)
            raise
        self._check_released(held)

    def _check_released(self, held: Held) -> None:
        for each in self.all_held:
            if held in each.chain and each.has_leaked and not self._abandons():
                self._leak(each, f"law 1: {held} was released, and {each} is open")

    def leaves(self, record: ScopeRecord) -> None:
        """Hear that the body of a scope leaves."""
        record.leaves = self._next()
        record.leaves_at = asyncio.get_running_loop().time()

    def left(self, record: ScopeRecord) -> None:
        """Hear that a scope has been left: all that it held is closed."""
        record.left = self._next()
        took = asyncio.get_running_loop().time() - record.leaves_at
        most = record.close_timeout + LAST_CALL_SECONDS + MOMENTS * (len(self.all_held) + 1)
        if took > most and record.leaves is not None:
            self._violation(5, f"{record.name!r} took {took:g} s to close, and had {most:g}")
        for held in self.all_held:
            inside = any(each.record is record for each in held.chain)
            if inside and held.has_leaked and not self._abandons():
                self._leak(held, f"law 1: {held} is open when {record.name!r} has been left")

    def is_owner(self, record: ScopeRecord) -> bool:
        scope = next(scope for each, scope in self._scopes if each is record)
        return scope._state is not None and scope._state.is_owned_by(asyncio.current_task())

    def is_within(self, record: ScopeRecord, held: Held) -> bool:
        return any(each.element is held for each in record)

    def has_ended(self, task: asyncio.Task[Any], left: set[asyncio.Task[Any]]) -> None:
        """Check all the laws that are about the whole."""
        if left and not self._abandons():
            self.violations.append(f"tasks are left: {sorted(each.get_name() for each in left)}")
        if self.unhandled and not self._abandons():
            self.violations.append(f"the loop's exception handler was called: {self.unhandled}")
        if not task.cancelled() and (error := task.exception()) is not None:
            self._seen.append(error)
        abandoned = self._abandoned()
        self.violations += [
            text
            for held, text in self._leaks
            if abandoned.isdisjoint(each.name for each in held.chain)
        ]
        self._check_once()
        self._check_cancelled(task)
        self._check_errors()
        if not self._abandons():
            self._check_order()
            self._check_deaths()
            self._check_closed_is_closed()

    # The laws

    def _check_once(self) -> None:
        for held in self.all_held:
            if held.has_leaked and not self._abandons():
                self._violation(1, f"{held} was never closed")
            if held.times_closed > 1:
                self._violation(1, f"{held} was closed {held.times_closed} times")

    def _check_order(self) -> None:
        things = [held for held in self.all_held if held.opened and not held.is_scope]
        for earlier in things:
            if earlier.closing is None:
                continue
            for need_of in (each for each in things if earlier in each.needs):
                if need_of.closed is None or need_of.closed > earlier.closing:
                    self._violation(3, f"{earlier} closed before {need_of}, which needs it")
            for later in things:
                if later is earlier or not self._is_before(earlier, later):
                    continue
                if later.closed is None or later.closed > earlier.closing:
                    self._violation(3, f"{earlier} closed before {later}, opened after it")

    def _is_before(self, earlier: Held, later: Held) -> bool:
        """Tell whether one was open, in the scope that holds both, when the other began to open."""
        if earlier.died is not None and earlier.is_task:
            return False
        if earlier.returned is None or any(each.released for each in earlier.chain):
            return False  # it was given up, or given back, before the scope closed
        places = {id(each.record): each for each in later.chain}
        for first in earlier.chain:
            second = places.get(id(first.record))
            if second is not None:
                return (
                    first is not second
                    and first.returned is not None
                    and second.opening is not None
                    and first.returned < second.opening
                    and not self._uses(first, second)
                )
        return False

    def _uses(self, first: Held, second: Held) -> bool:
        """Tell whether something in a scope, or a task, needs what was opened later around it.

        That may be what is asked about, or was opened after that: it then closes before that in
        turn, and has to wait for this scope or task, so that there is no order to suit all three.
        """
        inside = (
            each
            for each in self.all_held
            if first in each.chain
            or (first.is_task and any(record.task is first.task for record in each.record))
        )
        wanted = {  # by a call that may not have opened yet what needs these
            name
            for call in self._asked
            if any(
                record.element is first or (first.is_task and record.task is first.task)
                for record in call.record
            )
            for name in call.names
        }
        beside = (
            place
            for need in (
                *(need for each in inside for need in each.needs),
                *(each for each in self.all_held if each.is_declared and each.name in wanted),
            )
            for place in need.chain
            if place.record is second.record and place is not first
        )
        return any(
            place is second or place.returned is None or place.returned > (second.returned or 0)
            for place in beside
        )

    def _check_cancelled(self, task: asyncio.Task[Any]) -> None:
        if task in self._repeated:
            return
        if task.cancelled() and not self.accepted:
            self._violation(6, "the main task ends cancelled, without a request")
        if self.requests and not self.accepted:
            self._violation(6, f"{self.requests} requests to cancel are left, and none was made")
        if not self.is_exact:
            return
        if self.accepted and not task.cancelled() and task not in self._lost_to_timeout:
            self._violation(6, f"a cancellation was swallowed; ended with {self.raised!r}")
        if self.requests is not None and self.requests != self.accepted:
            self._violation(6, f"{self.accepted} requests to cancel have become {self.requests}")

    def check_told(self, body: BaseException | None, raised: BaseException) -> None:
        """Check what a scope raises: no leaf twice, and the body's exception as it was."""
        leaves = leaves_of(raised)
        if len({id(each) for each in leaves}) < len(leaves):
            self._violation(7, f"an error is reported twice in {raised!r}")
        if body is None or raised is body or not isinstance(raised, BaseExceptionGroup):
            return
        if {id(each) for each in leaves} <= {id(each) for each in leaves_of(body)}:
            self._violation(7, f"{body!r} of the body came out as {raised!r}")

    def _check_errors(self) -> None:
        reported = set[int]()
        for error in (*self._dropped, self.raised):
            reported.update(id(each) for each in errors_reported_by(error))
        if self._abandons():
            return
        for planted in self.planted:
            if id(planted) not in reported:
                self._violation(7, f"{planted!r} was lost; {self.raised!r} was raised")
        for error in (*self._dropped, self.raised):
            for each in errors_reported_by(error):
                known = isinstance(
                    each,
                    (PlantedError, BaseExceptionGroup, GeneratorExit, *EXPECTED, TimeoutError),
                )
                if not known:
                    self.violations.append(f"an error of withal's own: {each!r}")

    def _check_deaths(self) -> None:
        for held in self.all_held:
            if held.died is None or held.is_task or held.closing is None:
                continue
            if any(each.released for each in held.chain):
                continue
            record = held.record
            while record.element is not None:
                record = record.element.record
            if record.leaves is None or record.leaves > held.closing:
                self._violation(8, f"{held} died, and was closed before the body had left")

    def _check_closed_is_closed(self) -> None:
        for held in self.all_held:
            left = held.record.left
            if left is not None and held.opening is not None and held.opening > left:
                self._violation(9, f"{held} began to open when its scope was closed")

    def _abandons(self) -> bool:
        """Tell whether a scope has said that it left something behind."""
        self._has_abandoned = self._has_abandoned or bool(self._abandoned())
        return self._has_abandoned

    def _abandoned(self) -> set[str]:
        """Return the names of all that scopes have said they left behind."""
        return {
            name
            for error in (*self._seen, *self._dropped, self.raised)
            for each in errors_reported_by(error)
            if isinstance(each, CloseTimeoutError)
            for name in each.abandoned
        }

    def _leak(self, held: Held, text: str) -> None:
        """Record something that is open, which is a violation unless a scope has abandoned it.

        Another task may have abandoned it, and raises the error that says so later.
        """
        self._leaks.append((held, text))

    def _is_open(self, record: ScopeRecord) -> bool:
        """Tell whether neither this scope nor one that holds it has begun to close."""
        scopes = {id(each): scope for each, scope in self._scopes}
        return all(scopes[id(each)].state == "open" for each in record)

    def _violation(self, law: int, text: str) -> None:
        self.violations.append(f"law {law}: {text}")

    def _next(self) -> int:
        self._step += 1
        return self._step


def errors_reported_by(error: BaseException | None) -> list[BaseException]:
    """Return all errors that raising this one shows: itself, members, and what it was made of."""
    todo, found = [error], dict[int, BaseException]()
    while todo:
        each = todo.pop()
        if each is None or id(each) in found:
            continue
        found[id(each)] = each
        if isinstance(each, BaseExceptionGroup):
            todo += each.exceptions
        todo += [each.__cause__, each.__context__]
    return list(found.values())


def leaves_of(error: BaseException) -> list[BaseException]:
    """Return the errors of a group, at any depth; of another error, itself."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for each in error.exceptions for leaf in leaves_of(each)]
