"""Opening in a scope: one resource, or several concurrently, all or nothing (law 2)."""

from __future__ import annotations

from asyncio import CancelledError, current_task, get_running_loop
from collections.abc import Awaitable, Sequence
from typing import Any, NoReturn

from withal._core.errors import ResourceLostError, ScopeClosedError
from withal._core.lifecycle import OPEN, OPENING
from withal._core.outcome import raise_unchanged
from withal._core.resources.direct import Direct
from withal._core.resources.hosted import Host
from withal._core.resources.inline import Inline
from withal._core.resources.managed import Openable
from withal._core.scopes.closing import begin_closing, raise_result, requests_seen
from withal._core.scopes.starting import start, start_in_order, wait_until_open
from withal._core.scopes.state import ScopeState
from withal._core.waiting.latch import Arrivals, Latch


def open_direct(state: ScopeState, direct: Direct) -> Any:
    """Open a synchronous manager, and return its value."""
    if get_running_loop() is not state.loop:
        raise state.in_another_loop("open", direct.name)
    direct.open()
    if direct.error is not None:
        raise_unchanged(direct.error)
    state.resources.add(direct)
    if direct.after != direct.before:
        state.carry_changes(direct)
    return direct.value


async def open_in_order(state: ScopeState, hosts: Sequence[Openable]) -> None:
    """Open all of these, or none, each as soon as its dependencies are open."""
    if any(need.phase is not OPEN for host in hosts for need in host.needs):
        await open_together(state, hosts, Arrivals(state.loop, len(hosts)))
    else:
        await open_together(state, hosts)


async def open_together(
    state: ScopeState, hosts: Sequence[Openable], latch: Latch | None = None
) -> None:
    """Open all of these concurrently, or none."""
    latch = Latch(state.loop, len(hosts)) if latch is None else latch
    floor = _begin(state, hosts, latch)
    failure: BaseException | None = None
    try:
        if isinstance(latch, Arrivals):
            await start_in_order(hosts, latch)
        else:
            await start(hosts, latch)
    except (CancelledError, Exception) as exc:  # a task factory may raise, too
        failure = exc
    if failure is not None or not state.adopt_together(latch):
        await _give_up(state, hosts, latch, failure, floor)


def open_at_once(state: ScopeState, host: Host) -> Awaitable[None] | None:
    """Open one resource; if opening it does not wait, it is open on return.

    Returns:
        None if it is open, otherwise what the caller has to await.
    """
    loop = state.loop
    if get_running_loop() is not loop:
        raise state.in_another_loop("open", host.name)
    task = current_task(loop)
    floor = requests_seen(state, task) if task is None or task.cancelling() else 0
    # The host is its own key: no latch is needed if it does not wait, and others find it here.
    hosts = state.in_flight[host] = (host,)
    failure: BaseException | None = None
    try:
        host.start(None)
    except (CancelledError, Exception) as exc:
        failure = exc
    if host.phase is OPEN and state.phase is OPEN:
        del state.in_flight[host]
        state.resources.add(host)
        if host.after != host.before:
            state.carry_changes(host)
        return None
    latch = Latch(loop, 1)
    state.in_flight[latch] = state.in_flight.pop(host)
    if failure is None and host.phase is OPENING and state.phase is OPEN:
        host.notify(latch)
        return _wait_and_finish(state, hosts, latch, floor)
    return _give_up(state, hosts, latch, failure, floor)


def _begin(state: ScopeState, hosts: Sequence[Openable], latch: Latch) -> int:
    """Note that these are opening, and return how many requests to cancel the caller has seen."""
    if get_running_loop() is not state.loop:
        raise state.in_another_loop("open", hosts[0].name)
    state.in_flight[latch] = hosts
    task = current_task(state.loop)
    return requests_seen(state, task) if task is None or task.cancelling() else 0


async def _wait_and_finish(
    state: ScopeState, hosts: Sequence[Openable], latch: Latch, floor: int
) -> None:
    failure: BaseException | None = None
    try:
        await wait_until_open(hosts, latch)
    except (CancelledError, Exception) as exc:  # code that drives the task may throw any in
        failure = exc
    if failure is not None or not state.adopt_together(latch):
        await _give_up(state, hosts, latch, failure, floor)


async def _give_up(
    state: ScopeState,
    hosts: Sequence[Openable],
    latch: Latch,
    failure: BaseException | None,
    floor: int,
) -> None:
    """Close those of these that have opened, and raise the reason why not all are open."""
    try:
        await _abort(state, hosts, failure, floor)
    finally:
        del state.in_flight[latch]
        if state.idle is not None:
            state.idle.arrive()


def not_the_owner(state: ScopeState, name: str) -> RuntimeError:
    """Return the error for a task other than the owner that opens something inline.

    Raises:
        RuntimeError: if this is another event loop than the scope's.
    """
    state.check_loop("open", name)
    return RuntimeError(
        f"{name!r} cannot be entered inline: only the task that entered scope {state.path!r} can "
        "do that; leave out inline=True"
    )


async def reject_late_inline(state: ScopeState, resource: Inline) -> NoReturn:
    """Close an inline resource that opened after another task had closed the scope (law 9)."""
    error = ScopeClosedError(state.path, state.phase.value, resource.name)
    closing = begin_closing(state, error, current_task())
    closing.result.ignore_suppression = True
    rest = closing.stage((resource,))
    if rest is not None:
        await rest
    raise_result(state, closing)
    raise AssertionError("unreachable: there is no error to raise")


async def _abort(
    state: ScopeState, hosts: Sequence[Openable], failure: BaseException | None, floor: int
) -> NoReturn:
    """Close those that have opened, and raise the reason why not all of them are open."""
    name = hosts[0].name
    hosts = [host for host in hosts if host.task is not None or host.phase is not OPENING]
    for host in hosts:
        host.check_started()
    cause = failure
    if cause is None:
        cause = next((host.error for host in hosts if host.error is not None), None)
    if cause is None and state.phase is not OPEN:
        cause = ScopeClosedError(state.path, state.phase.value, name)
    lost = next((host for host in hosts if host.lost), None)
    closing = begin_closing(state, cause, current_task())
    closing.floor = floor
    await closing.give_up(hosts, state.open_grace)
    if lost is not None and closing.result.is_ok:
        # It died and has suppressed its own cancellation, as an expired anyio scope does.
        closing.result.fail(ResourceLostError(state.path, lost.name, "opening"))
    raise_result(state, closing)
    raise AssertionError(f"unreachable: there is no reason why {name!r} did not open")
