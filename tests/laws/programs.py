"""Random programs of scopes: what one is made of, how it is drawn, and how it is run.

A program is a tree of frozen steps. ``str()`` of it is the Python code that it stands for, to be
read, and pasted into a test, when Hypothesis has found a small one that breaks a law. `run` runs
one in an event loop and returns the `Witness` of it, which knows the laws.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, fields, replace
from textwrap import indent
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

import anyio
from hypothesis import strategies as st

from tests.laws.witness import Held, PlantedError, ScopeRecord, Witness
from tests.support.loop import turns
from withal import Declaration, Scope, WithalError, resource
from withal._core.scope import _current
from withal._core.waiting.cancellation import requests_delivered

T = TypeVar("T")

# What a program is made of


@dataclass(frozen=True)
class Wait:
    """Some turns of the loop, and then some seconds."""

    turns: int = 0
    seconds: float = 0

    def __str__(self) -> str:
        seconds = f", seconds={self.seconds:g}" if self.seconds else ""
        return f"wait({self.turns}{seconds})"

    async def __call__(self) -> None:
        await turns(self.turns)
        if self.seconds:
            await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class Manager:
    """A context manager that takes its time, and may fail, suppress, translate, or die."""

    name: str
    opening: Wait = Wait()
    closing: Wait = Wait()
    fails_opening: bool = False
    fails_closing: bool = False
    suppresses: bool = False
    translates: bool = False
    dies: Wait | None = None  # a task group in it fails after this
    grouped: str | None = None  # what is closed within a task group in it, of this library
    is_synchronous: bool = False

    def __str__(self) -> str:
        options = [repr(self.name)]
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if value != field.default:
                text = repr(value) if isinstance(value, str) else str(value)
                options.append(f"{field.name}={text}")
        return f"M({', '.join(options)})"


@dataclass(frozen=True)
class Declared:
    """A declared resource, and the names of those that it needs."""

    manager: Manager
    needs: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.manager.name} = declare({', '.join((str(self.manager), *self.needs))})"


@dataclass(frozen=True)
class Pause:
    wait: Wait

    def __str__(self) -> str:
        return f"await {self.wait}"


@dataclass(frozen=True)
class Forever:
    def __str__(self) -> str:
        return "await forever()"


@dataclass(frozen=True)
class Fail:
    name: str

    def __str__(self) -> str:
        return f"raise PlantedError({self.name!r})"


@dataclass(frozen=True)
class Enter:
    manager: Manager
    inline: bool = False

    def __str__(self) -> str:
        inline = ", inline=True" if self.inline else ""
        return f"{self.manager.name} = await scope.enter({self.manager}{inline})"


@dataclass(frozen=True)
class EnterAll:
    managers: tuple[Manager, ...]

    def __str__(self) -> str:
        names = ", ".join(each.name for each in self.managers)
        return f"({names},) = await scope.enter_all({', '.join(map(str, self.managers))})"


@dataclass(frozen=True)
class Open:
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"await scope.open({', '.join(self.names)})"


@dataclass(frozen=True)
class Spawn:
    name: str
    body: Body

    def __str__(self) -> str:
        return f"async def {self.name}():\n{_block(self.body)}\nscope.spawn({self.name}())"


@dataclass(frozen=True)
class Defer:
    name: str
    wait: Wait | None = None  # None: a plain function
    fails: bool = False

    def __str__(self) -> str:
        wait = "" if self.wait is None else f", {self.wait}"
        fails = ", fails=True" if self.fails else ""
        return f"scope.defer(callback({self.name!r}{wait}{fails}))"


@dataclass(frozen=True)
class Release:
    name: str

    def __str__(self) -> str:
        return f"await scope.release({self.name})  # if it is open"


@dataclass(frozen=True)
class Kill:
    name: str

    def __str__(self) -> str:
        return f"task_of({self.name}).cancel()"


@dataclass(frozen=True)
class InScope:
    name: str
    body: Body
    close_timeout: float = 10
    open_grace: float = 1
    in_generator: bool = False  # which is closed at the end of the body

    def __str__(self) -> str:
        body = _block(self.body)
        if self.in_generator:
            return f"in a generator, async with {_scope(self)} as scope:\n{body}\n    yield"
        return f"async with {_scope(self)} as scope:\n{body}"


@dataclass(frozen=True)
class EnterScope:
    """A scope that is entered into the current one, in place of which it is used in `body`."""

    name: str
    body: Body
    close_timeout: float = 10
    open_grace: float = 1
    inline: bool = False

    def __str__(self) -> str:
        inline = ", inline=True" if self.inline else ""
        entering = f"{self.name} = await scope.enter({_scope(self)}{inline})"
        return f"{entering}\nwith {self.name} as scope:  # what it is called below\n" + _block(
            self.body
        )


@dataclass(frozen=True)
class Timeout:
    seconds: float
    body: Body

    def __str__(self) -> str:
        limit = f"async with asyncio.timeout({self.seconds:g}):\n{_block(self.body)}"
        return f"with suppress(TimeoutError):\n{indent(limit, '    ')}"


@dataclass(frozen=True)
class MoveOn:
    """An anyio cancel scope, cancelled by its deadline, or by a callback after some turns."""

    seconds: float | None
    turns: int
    body: Body

    def __str__(self) -> str:
        if self.seconds is not None:
            return f"with anyio.move_on_after({self.seconds:g}):\n{_block(self.body)}"
        after = f"    after_turns({self.turns}, limit.cancel)\n"
        return f"with anyio.CancelScope() as limit:\n{after}{_block(self.body)}"


@dataclass(frozen=True)
class Group:
    """A task group, in which each branch is a task."""

    branches: tuple[Body, ...]
    body: Body

    def __str__(self) -> str:
        lines = ["async with asyncio.TaskGroup() as group:"]
        for number, branch in enumerate(self.branches):
            lines += [f"    async def branch_{number}():", indent(_block(branch), "    ")]
            lines += [f"    group.create_task(branch_{number}())"]
        return "\n".join((*lines, _block(self.body)))


@dataclass(frozen=True)
class Catch:
    body: Body

    def __str__(self) -> str:
        caught = "except (PlantedError, WithalError, ExceptionGroup):\n    pass"
        return f"try:\n{_block(self.body)}\n{caught}"


Step: TypeAlias = (
    Pause
    | Forever
    | Fail
    | Enter
    | EnterAll
    | Open
    | Spawn
    | Defer
    | Release
    | Kill
    | InScope
    | EnterScope
    | Timeout
    | MoveOn
    | Group
    | Catch
)
Body: TypeAlias = tuple[Step, ...]


@dataclass(frozen=True)
class CancelAt:
    """A cancellation of the main task, after some turns of the loop or at a virtual time."""

    turns: int
    seconds: float | None = None

    def __str__(self) -> str:
        if self.seconds is None:
            return f"cancel main after {self.turns} turns"
        return f"cancel main at {self.seconds:g} s"


@dataclass(frozen=True)
class Program:
    """A program. It is exact where nothing in it may rightly swallow a cancellation."""

    body: Body
    declared: tuple[Declared, ...] = ()
    cancels: tuple[CancelAt, ...] = ()
    is_exact: bool = False

    def __str__(self) -> str:
        lines = [str(each) for each in self.declared]
        lines += ["async def main():", _block(self.body)]
        lines += [f"# {each}" for each in self.cancels]
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # by which Hypothesis shows what it has found


def _block(body: Body) -> str:
    return indent("\n".join(map(str, body)) or "pass", "    ")


def _scope(step: InScope | EnterScope) -> str:
    options = [repr(step.name)]
    if step.close_timeout != 10:
        options.append(f"close_timeout={step.close_timeout:g}")
    if step.open_grace != 1:
        options.append(f"open_grace={step.open_grace:g}")
    return f"Scope({', '.join(options)})"


# How one is drawn


@dataclass(frozen=True)
class Profile:
    """What programs may have in them.

    Attributes:
        seconds: waits in seconds, deadlines, timeouts: for virtual time.
        foreign: anyio's cancel scopes, task groups, and finalizers that suppress, so that it is
            not always known what becomes of a cancellation.
    """

    seconds: bool = True
    foreign: bool = True


@st.composite
def programs(draw: st.DrawFn, profile: Profile) -> Program:
    """Draw a program."""
    return _Drawing(draw, profile).program()


@dataclass(frozen=True)
class _Place:
    """Where in a program something is drawn.

    Attributes:
        depth: how many blocks are around it.
        in_scope: there is a scope to enter something into.
        is_owner: the scope's owner runs it.
        spawned: a task of the scope runs it.
        in_block: it is in a block that ends before the scope does. What is entered inline there
            must not hold a cancel scope of anyio: cancel scopes would not end in reverse order.
    """

    depth: int
    in_scope: bool = False
    is_owner: bool = False
    spawned: bool = False
    in_block: bool = False

    def within(self, **changes: bool) -> _Place:
        values = {
            "in_scope": self.in_scope,
            "is_owner": self.is_owner,
            "spawned": self.spawned,
            "in_block": self.in_block,
        } | changes
        return _Place(self.depth + 1, **values)


class _Drawing:
    def __init__(self, draw: st.DrawFn, profile: Profile) -> None:
        self._draw = draw
        self._profile = profile
        self._count = 0
        self._names: list[str] = []  # of all that can be released or killed
        self._governing: list[str] = []  # of those entered inline that hold anyio's cancel scopes
        self._declared: tuple[Declared, ...] = ()

    def program(self) -> Program:
        self._declared = self._draw_declared()
        cancels = self._up_to(3, self._cancel)
        around = self._integer(0, 9)
        body: Body = (self._in_scope(_Place(0)),)
        if around == 1:
            body = (self._around(body),)
        elif around == 2:
            body = (*body, self._in_scope(_Place(0)))
        return Program(body, self._declared, cancels, is_exact=not self._profile.foreign)

    def _draw_declared(self) -> tuple[Declared, ...]:
        found: list[Declared] = []
        for _ in range(self._integer(0, 4)):
            known = [each.manager.name for each in found]
            needs = tuple(name for name in known if self._flip())
            manager = replace(self._manager(can_die=False), is_synchronous=False)
            found.append(Declared(manager, needs))
        return tuple(found)

    def _body(self, place: _Place) -> Body:
        return tuple(self._step(place) for _ in range(self._integer(0, 4 - place.depth // 2)))

    def _step(self, place: _Place) -> Step:
        makers: list[Callable[[_Place], Step]] = [self._pause]
        if place.in_scope:
            makers += [
                self._enter,
                self._enter_all,
                self._defer,
                self._release,
                self._kill,
                self._fail,
            ]
            if self._declared:
                makers += [self._open, self._open]
        if place.depth < 4:
            makers.append(self._in_scope)
            if place.in_scope:
                makers += [self._spawn, self._spawn, self._enter_scope, self._catch, self._wrap]
        return self._one_of(makers)(place)

    def _pause(self, _: _Place) -> Step:
        return Pause(self._wait())

    def _fail(self, _: _Place) -> Step:
        return Fail(self._name("error"))

    def _enter(self, place: _Place) -> Step:
        inline = place.is_owner and self._rarely()
        manager = self._manager(can_die=not inline)
        if inline and place.in_block and manager.grouped == "anyio":
            manager = replace(manager, grouped="asyncio")
        if inline and manager.grouped == "anyio":
            self._governing.append(manager.name)
        return Enter(manager, inline)

    def _enter_all(self, _: _Place) -> Step:
        return EnterAll(tuple(self._manager() for _ in range(self._integer(1, 3))))

    def _open(self, _: _Place) -> Step:
        names = [each.manager.name for each in self._declared]
        return Open(tuple(self._one_of(names) for _ in range(self._integer(1, 2))))

    def _spawn(self, place: _Place) -> Step:
        name = self._named("task")
        body = self._body(place.within(is_owner=False, spawned=True))
        return Spawn(name, (*body, Forever()) if self._flip() else body)

    def _defer(self, _: _Place) -> Step:
        wait = self._wait() if self._flip() else None
        return Defer(self._name("callback"), wait, self._rarely())

    def _release(self, place: _Place) -> Step:
        name = self._one_of(self._names) if self._names else None
        if name is None or (
            name in self._governing and (place.in_block or name != self._governing[-1])
        ):
            return self._pause(place)  # anyio's cancel scopes have to end in reverse order
        return Release(name)

    def _kill(self, place: _Place) -> Step:
        return Kill(self._one_of(self._names)) if self._names else self._pause(place)

    def _in_scope(self, place: _Place) -> Step:
        name, limits = self._name("scope"), self._limits()
        body = self._body(place.within(in_scope=True, is_owner=True, in_block=False))
        return InScope(name, body, *limits, in_generator=self._rarely())

    def _enter_scope(self, place: _Place) -> Step:
        name, limits = self._named("inner"), self._limits()
        inline = place.is_owner and self._rarely()
        if inline:
            self._governing.append(name)  # by what is entered inline in it
        return EnterScope(name, self._body(place.within(is_owner=inline)), *limits, inline)

    def _catch(self, place: _Place) -> Step:
        return Catch(self._body(place.within()))

    def _wrap(self, place: _Place) -> Step:
        return self._around(self._body(place.within(in_block=True)), place)

    def _around(self, body: Body, place: _Place | None = None) -> Step:
        kinds = [self._timeout] if self._profile.seconds else []
        if self._profile.foreign:
            kinds += [self._move_on]
            if self._flip():
                branch = (place or _Place(0)).within(is_owner=False)
                return Group(self._up_to(2, lambda: self._body(branch)), body)
        return self._one_of(kinds)(body) if kinds else Catch(body)

    def _timeout(self, body: Body) -> Step:
        return Timeout(self._seconds(), body)

    def _move_on(self, body: Body) -> Step:
        seconds = self._seconds() if self._profile.seconds and self._flip() else None
        return MoveOn(seconds, self._integer(0, 12) if seconds is None else 0, body)

    def _cancel(self) -> CancelAt:
        if self._profile.seconds and self._flip():
            return CancelAt(0, self._seconds())
        return CancelAt(self._integer(0, 40))

    def _manager(self, *, can_die: bool = True) -> Manager:
        name = self._named("m")
        opening, closing = self._wait(), self._wait()
        fate = self._integer(0, 24)
        dies = self._wait() if fate == 5 and can_die else None
        if dies is not None:
            # A wait behind the task group would be cancelled by it, or by the deadline: then what
            # the group raised is no more than the context of a `CancelledError`, as without withal.
            closing = Wait()
        foreign = self._profile.foreign
        translates = fate == 4
        suppresses = fate == 3 and foreign
        grouped = None
        if foreign and dies is None and self._rarely():
            grouped = self._one_of(["asyncio", "anyio"])
        is_synchronous = dies is None and grouped is None and self._rarely()
        if is_synchronous:
            opening = closing = Wait()
        return Manager(
            name,
            opening,
            closing,
            fate == 1,
            fate == 2,
            suppresses,
            translates,
            dies,
            grouped,
            is_synchronous,
        )

    def _limits(self) -> tuple[float, float]:
        if not self._profile.seconds or not self._rarely():
            return 10, 1
        return self._one_of([10, 3, 0.5, 0]), self._one_of([1, 0])

    def _wait(self) -> Wait:
        number = self._integer(0, 3)
        return Wait(number, self._seconds() if self._profile.seconds and self._rarely() else 0)

    def _seconds(self) -> float:
        return self._one_of([0.1, 0.5, 1, 2, 5, 20])

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"

    def _named(self, kind: str) -> str:
        self._names.append(self._name(kind))
        return self._names[-1]

    def _up_to(self, most: int, make: Callable[[], T]) -> tuple[T, ...]:
        return tuple(make() for _ in range(self._integer(0, most)))

    def _one_of(self, things: Sequence[T]) -> T:
        return things[self._integer(0, len(things) - 1)]

    def _integer(self, low: int, high: int) -> int:
        return self._draw(st.integers(low, high))

    def _flip(self) -> bool:
        return self._integer(0, 1) == 1

    def _rarely(self) -> bool:
        return self._integer(0, 5) == 5


# How one is run


async def run(program: Program) -> Witness:
    """Run a program in a task of its own, and return the witness of it."""
    return await _Run(program).run()


class _Probe:
    """A manager as a program describes it, which reports each step to the witness."""

    def __init__(self, witness: Witness, held: Held, spec: Manager) -> None:
        self._witness = witness
        self._state = held
        self._spec = spec

    async def __aenter__(self) -> Held:
        self._witness.opening(self._state)
        await self._spec.opening()
        self.open()
        return self._state

    def open(self) -> None:
        if self._spec.fails_opening:
            raise self._witness.plant(f"{self._spec.name}, opening")
        self._witness.opened(self._state)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._witness.closing(self._state)
        try:
            await self._spec.closing()
            self.close(exc)
        finally:
            self._witness.closed(self._state)
        return self._spec.suppresses

    def close(self, exc: BaseException | None) -> None:
        if self._spec.fails_closing:
            raise self._witness.plant(f"{self._spec.name}, closing")
        if self._spec.translates and exc is not None:
            raise self._witness.plant(f"{self._spec.name}, translating") from exc
        if self._spec.suppresses:
            self._witness.dropped(exc)


class _SynchronousProbe:
    """A synchronous manager as a program describes it."""

    def __init__(self, witness: Witness, held: Held, spec: Manager) -> None:
        self._witness = witness
        self._state = held
        self._probe = _Probe(witness, held, spec)
        self._suppresses = spec.suppresses

    def __enter__(self) -> Held:
        self._witness.opening(self._state)
        self._probe.open()
        return self._state

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._witness.closing(self._state)
        try:
            self._probe.close(exc)
        finally:
            self._witness.closed(self._state)
        return self._suppresses


@asynccontextmanager
async def _mortal(witness: Witness, held: Held, spec: Manager) -> AsyncGenerator[Held]:
    """A manager that has a task group in it, of which a child fails after a time."""
    dies = spec.dies
    assert dies is not None

    async def child() -> None:
        await dies()
        witness.died(held)
        raise witness.plant(f"{spec.name}, dying")

    async with _Probe(witness, held, spec), _TaskGroup(witness) as group:
        task = group.create_task(child())
        try:
            yield held
        finally:
            witness.closing(held)
            task.cancel()


@asynccontextmanager
async def _grouped(witness: Witness, held: Held, spec: Manager) -> AsyncGenerator[Held]:
    """A manager that wraps what it sees in a group, since it has a task group in it."""
    async with _Probe(witness, held, spec):
        if spec.grouped == "anyio":
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                try:
                    yield held
                finally:
                    group.cancel_scope.cancel()
        else:
            async with _TaskGroup(witness) as tasks:
                task = tasks.create_task(anyio.sleep_forever())
                try:
                    yield held
                finally:
                    task.cancel()


class _TaskGroup(asyncio.TaskGroup):
    """A task group that takes back what it has asked for.

    Before 3.13 one does not, where a child fails while the block waits for its children: a request
    to cancel the parent is left that nobody else has made. Whoever counts requests later takes it
    for one that is owed still, as anyio's scopes, `asyncio.timeout` and withal's scopes do.
    """

    _parent_cancel_requested: bool

    def __init__(self, witness: Witness) -> None:
        super().__init__()
        self._witness = witness

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        had_asked = self._parent_cancel_requested
        try:
            await super().__aexit__(kind, error, trace)
        except BaseExceptionGroup:
            self._witness.repeated()
            raise
        finally:
            if self._parent_cancel_requested and not had_asked and sys.version_info < (3, 13):
                task = asyncio.current_task()
                assert task is not None
                task.uncancel()


@dataclass(frozen=True)
class _Here:
    """The scope that a step is about."""

    scope: Scope
    record: ScopeRecord


class _Run:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._witness = Witness(is_exact=program.is_exact)
        self._last: dict[str, Held] = {}  # by name, what the body has got last
        self._records: dict[int, ScopeRecord] = {}
        self._declared: dict[str, Declaration[Held]] = {}
        for each in program.declared:
            self._declare(each)

    async def run(self) -> Witness:
        loop = asyncio.get_running_loop()
        unhandled = self._witness.unhandled
        loop.set_exception_handler(lambda _, context: unhandled.append(context))
        before = asyncio.all_tasks()
        task = loop.create_task(self._main())

        def cancel() -> None:
            if not self._witness.is_over:
                self._witness.accepted += task.cancel()

        timers = []
        for each in self._program.cancels:
            if each.seconds is None:
                _after_turns(each.turns, cancel)
            else:
                timers.append(loop.call_later(each.seconds, cancel))
        await asyncio.wait((task,))
        for timer in timers:
            timer.cancel()
        await turns(5)
        self._witness.has_ended(task, asyncio.all_tasks() - before)
        return self._witness

    async def _main(self) -> None:
        witness = self._witness
        task = asyncio.current_task()
        assert task is not None
        try:
            await self._steps(self._program.body, None)
        except BaseException as exc:
            witness.raised = exc
            if isinstance(exc, asyncio.CancelledError):
                raise
        finally:
            witness.is_over = True
            witness.requests = task.cancelling()
        await turns(5)  # by when what is still owed has been delivered

    def _declare(self, declared: Declared) -> None:
        async def function(**needs: Held) -> AsyncGenerator[Held]:
            scope = _current.get()
            assert scope is not None
            held = Held(declared.manager.name, self._records[id(scope)], is_declared=True)
            held.needs = tuple(needs.values())
            async with _Probe(self._witness, held, declared.manager):
                yield held

        function.__name__ = declared.manager.name
        declaration: Declaration[Held] = resource(function)
        declaration.needs.update({name: self._declared[name] for name in declared.needs})
        self._declared[declared.manager.name] = declaration

    async def _steps(self, body: Body, here: _Here | None) -> None:
        for step in body:
            try:
                await self._step(step, here)
            except BaseException as exc:
                self._witness.saw(exc)
                raise

    async def _step(self, step: Step, here: _Here | None) -> None:
        match step:
            case Pause(wait):
                await wait()
            case Forever():
                await asyncio.Event().wait()
            case Fail(name):
                raise self._witness.plant(name)
            case InScope():
                await self._in_scope(step, here)
            case Timeout() | MoveOn() | Group() | Catch():
                await self._wrapped(step, here)
            case _:
                assert here is not None
                await self._in(here, step)

    async def _in(self, here: _Here, step: Step) -> None:
        match step:
            case Enter(manager, inline):
                held = self._held(manager, here, inline)
                with self._witness.operation(here.record, [held]):
                    await here.scope.enter(
                        self._make(held, manager), name=manager.name, inline=inline
                    )
                self._got(held)
            case EnterAll(managers):
                many = [self._held(each, here) for each in managers]
                made = [self._make(*pair) for pair in zip(many, managers, strict=True)]
                with self._witness.operation(here.record, many):
                    await here.scope.enter_all(*made)
                self._got(*many)
            case Open(names):
                declared = [self._declared[name] for name in names]
                with self._witness.operation(here.record, [], _all_of(declared)) as operation:
                    got: Any = await here.scope.open(*declared)  # one value, or several
                    operation.got(got if isinstance(got, tuple) else (got,))
                self._got(*operation.held)
            case Spawn(name, body):
                self._spawn(here, name, body)
            case Defer():
                self._defer(here, step)
            case Release(name):
                await self._release(here, name)
            case Kill(name):
                self._kill(name)
            case EnterScope():
                await self._enter_scope(here, step)
            case _:
                raise AssertionError(step)

    def _held(self, manager: Manager, here: _Here, inline: bool = False) -> Held:
        return Held(manager.name, here.record, is_inline=inline)

    def _make(self, held: Held, manager: Manager) -> AbstractAsyncContextManager[Any]:
        make: Any = _Probe if manager.dies is None else _mortal
        if manager.is_synchronous:
            make = _SynchronousProbe
            held.is_synchronous = True
        if manager.grouped is not None:
            make = _grouped
        made: AbstractAsyncContextManager[Any] = make(self._witness, held, manager)
        return made

    def _got(self, *many: Held) -> None:
        for held in many:
            self._last[held.name] = held

    async def _in_scope(self, step: InScope, here: _Here | None) -> None:
        scope = Scope(step.name, close_timeout=step.close_timeout, open_grace=step.open_grace)
        record = self._record(scope, here, None)
        own: BaseException | None = None

        async def stream() -> AsyncGenerator[None]:
            nonlocal own
            async with scope:
                try:
                    await self._steps(step.body, _Here(scope, record))
                    if step.in_generator:
                        yield
                except BaseException as exc:
                    own = exc
                    raise
                finally:
                    self._witness.leaves(record)

        generator = stream()
        try:
            await anext(generator, None)
            await generator.aclose()
        except BaseException as exc:
            self._witness.saw(exc)
            self._witness.check_told(own, exc)
            raise
        finally:
            self._witness.left(record)

    async def _enter_scope(self, here: _Here, step: EnterScope) -> None:
        scope = Scope(step.name, close_timeout=step.close_timeout, open_grace=step.open_grace)
        element = Held(step.name, here.record, is_inline=step.inline, is_scope=True)
        element.value = scope
        record = self._record(scope, here, element)
        self._witness.opening(element)
        with self._witness.operation(here.record, [element]):
            await here.scope.enter(scope, inline=step.inline)
            self._witness.opened(element)
        if scope._state is not None:
            element.task = scope._state.owner()
        self._got(element)
        await self._steps(step.body, _Here(scope, record))

    def _record(self, scope: Scope, here: _Here | None, element: Held | None) -> ScopeRecord:
        around = None if here is None else here.record
        record = ScopeRecord(
            scope.name, scope.close_timeout, around, element, asyncio.current_task()
        )
        self._records[id(scope)] = record
        self._witness.keep(record, scope)
        return record

    def _spawn(self, here: _Here, name: str, body: Body) -> None:
        held = Held(name, here.record, is_task=True)
        witness = self._witness

        async def work() -> None:
            try:
                await self._steps(body, here)
            except asyncio.CancelledError:
                witness.closing(held)
                raise

        with witness.operation(here.record, [held]):
            witness.opening(held)
            held.task = here.scope.spawn(work(), name=name)
            witness.opened(held)
        held.value = held.task
        held.task.add_done_callback(lambda _: witness.closed(held))
        self._got(held)

    def _defer(self, here: _Here, step: Defer) -> None:
        held = Held(step.name, here.record, is_callback=True)
        witness = self._witness

        def call() -> None:
            witness.closing(held)
            witness.closed(held)
            if step.fails:
                raise witness.plant(step.name)

        async def call_async() -> None:
            assert step.wait is not None
            witness.closing(held)
            try:
                await step.wait()
            finally:
                witness.closed(held)
            if step.fails:
                raise witness.plant(step.name)

        with witness.operation(here.record, [held]):
            witness.opening(held)
            here.scope.defer(call if step.wait is None else call_async)
            witness.opened(held)

    async def _release(self, here: _Here, name: str) -> None:
        held = self._last.get(name)
        if held is None or (held.is_inline and not self._witness.is_owner(here.record)):
            return
        if held.record is not here.record or held.task is asyncio.current_task():
            return
        # A finalizer that waits for its own releaser would be waited for until the deadline.
        if held.is_scope and self._witness.is_within(here.record, held):
            return
        with self._witness.release(held):
            await here.scope.release(held if held.value is None else held.value)

    def _kill(self, name: str) -> None:
        held = self._last.get(name)
        if held is None or held.is_inline or held.task is None:
            return
        if held.task is not asyncio.current_task():
            held.task.cancel()
            self._witness.died(held)

    async def _wrapped(self, step: Timeout | MoveOn | Group | Catch, here: _Here | None) -> None:
        match step:
            case Timeout(seconds, body):
                task = asyncio.current_task()
                assert task is not None
                is_owed = task.cancelling() > requests_delivered(task)
                try:
                    async with asyncio.timeout(seconds):
                        await self._steps(body, here)
                except TimeoutError as exc:
                    self._witness.dropped(exc)
                    if is_owed:
                        self._witness.lost_to_timeout(task)
            case MoveOn(seconds, after, body):
                limit = anyio.CancelScope() if seconds is None else anyio.move_on_after(seconds)
                with limit:
                    if seconds is None:
                        _after_turns(after, limit.cancel)
                    await self._steps(body, here)
            case Group(branches, body):
                async with _TaskGroup(self._witness) as group:
                    for branch in branches:
                        group.create_task(self._steps(branch, here))
                    await self._steps(body, here)
            case Catch(body):
                try:
                    await self._steps(body, here)
                except (PlantedError, WithalError, ExceptionGroup) as exc:
                    self._witness.dropped(exc)


def _after_turns(number: int, call: Callable[[], object]) -> None:
    """Make a call after some turns of the loop."""
    if number == 0:
        call()
    else:
        asyncio.get_running_loop().call_soon(_after_turns, number - 1, call)


def _all_of(declared: Sequence[Declaration[Held]]) -> frozenset[str]:
    """Return the names of these and of all that they need."""
    todo: list[Declaration[Any]] = list(declared)
    for each in todo:
        todo += each.needs.values()
    return frozenset(each.name for each in todo)
