"""The declared resources of one scope: which are open, what replaces which, and opening more."""

from __future__ import annotations

from asyncio import current_task, get_running_loop
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import final

from withal._core.declared.plan import Node, Plan, cycle
from withal._core.declared.plan import plan as plan_opening
from withal._core.declared.wait_graph import Wait, check_circle, waiting
from withal._core.errors import (
    AlreadyOpenError,
    DeclarationError,
    ScopeClosedError,
)
from withal._core.lifecycle import CLOSING, OPEN
from withal._core.managers import EmitsEvents, protocol_of
from withal._core.resources.hosted import Host
from withal._core.resources.managed import Openable
from withal._core.scopes.opening import open_in_order
from withal._core.scopes.release import roll_back
from withal._core.scopes.state import ScopeState
from withal._core.waiting.latch import Latch


@final
class Declared:
    """The declared resources that a scope has open. It also finds those of parent scopes.

    Args:
        state: the state of the scope.
        around: the registry of the parent scope.
    """

    __slots__ = ("_around", "_open", "_opening", "_overrides", "_state")

    def __init__(self, state: ScopeState, around: Declared | None) -> None:
        self._state = state
        self._around = around
        self._open: dict[Node, Openable] = {}
        self._opening: dict[Node, _Flight] = {}
        self._overrides: dict[Node, Node] = {}

    def override(self, real: Node, fake: Node) -> None:
        """Open `fake` in place of `real`, in this scope and in scopes within it."""
        current = self._overriding(real)
        found = self._find(current)
        if found is not None or self._flight_of(current) is not None:
            where = self._state.path if found is None else found.keeper.path
            raise AlreadyOpenError(where, real.name, real.site)
        self._overrides[real] = fake

    def plan(self, wanted: Sequence[Node]) -> Plan:
        """Return the plan for opening these now."""
        return plan_opening(
            wanted, override=self._overriding, is_open=lambda node: self._find(node) is not None
        )

    async def open(self, wanted: Sequence[Node]) -> tuple[object, ...]:
        """Open these and all that they need, or nothing, and return their values."""
        opened: list[Openable] = []
        try:
            while True:
                self._check(wanted)
                plan = self.plan(wanted)
                in_the_way = self._in_the_way(plan)
                if in_the_way is not None:
                    wait, latch = in_the_way
                    with waiting(wait):
                        await latch.wait()
                    continue
                opened += await self._open_missing(plan)
                found = [self._find(node) for node in plan.wanted]
                values = tuple(host.value for host in found if host is not None)
                if len(values) == len(found):
                    for host in found:
                        if host is not None:
                            host.was_returned = True
                    return values
                # A resource that was to be reused has been released meanwhile: try again.
        except BaseException as error:
            mine = [host for host in opened if not host.was_returned]
            if mine:
                await roll_back(self._state, mine, error)
            raise

    async def _open_missing(self, plan: Plan) -> list[Openable]:
        hosts: dict[Node, Openable] = {}
        for each in plan.resources:
            if not each.reused:
                sources = {
                    key: hosts.get(need) or self._host(need) for key, need in each.needs.items()
                }
                hosts[each.declaration] = self._new_host(each.declaration, sources)
        if not hosts:
            return []
        flight = _Flight(hosts)
        self._opening.update(dict.fromkeys(hosts, flight))
        wait = Wait([node for node in plan.wanted if node in hosts], hosts)
        try:
            with waiting(wait):
                await open_in_order(self._state, tuple(hosts.values()))
            self._open.update(hosts)
        finally:
            for node, host in hosts.items():
                del self._opening[node]
                if host.task is None:
                    host.forget_needs()  # it was never started
            for watcher in flight.watchers:
                watcher.arrive()
        return list(hosts.values())

    def _new_host(self, node: Node, sources: dict[str, Openable]) -> Openable:
        host = Host(self._state, _Declared(node, sources, self._forget), node.name, node.name)
        host.depend_on(tuple(sources.values()))
        return host

    def _forget(self, node: Node, manager: _Declared) -> None:
        """Remove a resource that has closed.

        It stays if it had been abandoned, and was opened again before this manager closed.
        """
        host = self._open.get(node)
        if host is not None and host.matches(manager):
            del self._open[node]

    def _in_the_way(self, plan: Plan) -> tuple[Wait, Latch] | None:
        """Return what to wait for before the plan can be carried out, or has to be made again.

        That is a resource that another task is opening, which may fail, or closing.

        Raises:
            DeclarationError: if the resource to wait for is the one that makes this call.
            DependencyCycleError: if that resource waits for the one that makes this call.
        """
        if not any(each._opening or each._state.releasing for each in self._scopes()):
            return None
        latch = Latch(self._state.loop, 1)
        for each in plan.resources:
            if each.reused:
                continue
            flight = self._flight_of(each.declaration)
            if flight is not None:
                wait = _checked(each.declaration, flight.hosts)
                flight.watchers.append(latch)
                return wait, latch
            released = self._released(each.declaration)
            if released is not None:
                keeper, host = released
                wait = _checked(each.declaration, {each.declaration: host})
                keeper.watch_release(host, latch)
                return wait, latch
        return None

    def _released(self, node: Node) -> tuple[ScopeState, Openable] | None:
        """Return the host that is being released and has not closed yet, and its scope."""
        for around in self._scopes():
            host = around._open.get(node)
            if host is not None and around._state.is_releasing(host):
                return around._state, host
        return None

    def _scopes(self) -> Iterator[Declared]:
        around: Declared | None = self
        while around is not None:
            yield around
            around = around._around

    def _find(self, node: Node) -> Openable | None:
        """Return the host that has it open, in this scope or in a parent."""
        around: Declared | None = self
        while around is not None:
            host = around._open.get(node)
            # A resource that is closing, or has died, is not reused.
            if host is not None and host.phase is around._state.phase is OPEN and not host.lost:
                return host
            around = around._around
        return None

    def _host(self, node: Node) -> Openable:
        host = self._find(node)
        assert host is not None, f"{node} was planned as open and is not"
        return host

    def _flight_of(self, node: Node) -> _Flight | None:
        found = (each._opening.get(node) for each in self._scopes())
        return next((each for each in found if each is not None), None)

    def _overriding(self, node: Node) -> Node:
        """Return what is opened in place of `node`; the override of the nearest scope counts."""
        if not any(each._overrides for each in self._scopes()):
            return node
        path = [node]
        while True:
            fakes = (each._overrides.get(path[-1]) for each in self._scopes())
            fake = next((each for each in fakes if each is not None), None)
            if fake is None:
                return path[-1]
            path.append(fake)
            if fake in path[:-1]:
                raise cycle(path[path.index(fake) :])

    def _check(self, wanted: Sequence[Node]) -> None:
        state = self._state
        if wanted and state.phase is not OPEN:
            raise ScopeClosedError(state.path, state.phase.value, wanted[0].name)
        if wanted and get_running_loop() is not state.loop:
            raise RuntimeError(
                f"cannot open {wanted[0].name!r} ({wanted[0].site}): scope {state.path!r} "
                "belongs to another event loop; open it in the loop that entered the scope"
            )


@final
class _Flight:
    """Declared resources that open together, and the latches of tasks that wait for them."""

    __slots__ = ("hosts", "watchers")

    def __init__(self, hosts: Mapping[Node, Openable]) -> None:
        self.hosts = hosts
        self.watchers: list[Latch] = []


def _checked(node: Node, hosts: Mapping[Node, Openable]) -> Wait:
    """Return the wait for these hosts, or raise if they in turn wait for the calling task."""
    task = current_task()
    caller = next((host for host in hosts.values() if host.task is task), None)
    if caller is None:
        wait = Wait((node,), hosts)
        check_circle(wait)
        return wait
    if caller.phase is CLOSING:
        problem = (
            f"{caller.name!r} opens it while closing, and would wait for itself; open it earlier"
        )
    elif caller.name == node.name:
        problem = "it opens itself, and would wait without end"
    else:
        problem = (
            f"{caller.name!r} opens it by scope.open() while both are opening, and would wait "
            f"without end; declare it as a parameter of {caller.name!r}: = needs({node.name})"
        )
    raise DeclarationError(node.name, node.site, problem)


@final
class _Declared:
    """The manager of a declared resource; the user's manager is made when its needs are open."""

    def __init__(
        self,
        declaration: Node,
        sources: dict[str, Openable],
        has_closed: Callable[[Node, _Declared], None],
    ) -> None:
        self._declaration = declaration
        self._sources = sources
        self._has_closed = has_closed

    async def __aenter__(self) -> object:
        values = {key: host.value for key, host in self._sources.items()}
        self._manager = manager = self._declaration(**values)
        if isinstance(manager, EmitsEvents):
            manager._delegate_events(None)  # its events have the name of the declaration
        try:
            enter, self._exit, self._is_async = protocol_of(manager)
        except TypeError as error:
            raise self._blame(f"it did not return a context manager: {error}") from None
        try:
            value = enter(manager)
            return await value if self._is_async else value
        except RuntimeError as error:
            if error.args != ("generator didn't yield",):
                raise
            raise self._blame("it ended without a yield; yield the value, once") from None

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> object:
        try:
            done = self._exit(self._manager, exc_type, exc, traceback)
            return await done if self._is_async else done
        except RuntimeError as error:
            # The message of contextlib, after send() and after throw():
            # https://github.com/python/cpython/blob/3.11/Lib/contextlib.py
            if not str(error).startswith("generator didn't stop"):
                raise
            problem = "it yields a second time; yield the value once, and clean up after that"
            raise self._blame(problem) from None
        finally:
            self._has_closed(self._declaration, self)

    def _blame(self, problem: str) -> DeclarationError:
        return DeclarationError(self._declaration.name, self._declaration.site, problem)
