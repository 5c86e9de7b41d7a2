"""Starting resources concurrently, each as soon as its dependencies are open."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Sequence
from typing import cast

from withal._core.aliases import Waiting
from withal._core.managers import EmitsEvents
from withal._core.resources.base import ScopeHandle
from withal._core.resources.direct import Direct, is_direct
from withal._core.resources.hosted import Host
from withal._core.resources.managed import Openable
from withal._core.waiting.latch import BATCH_SIZE, Arrivals, Latch, turn


def openable(keeper: ScopeHandle, manager: object) -> Host | Direct:
    """Return the resource for a manager, with a task of its own if it needs one.

    Raises:
        TypeError: if `manager` is not a context manager.
        AlreadyEnteredError: if it can be entered only once, and has been.
    """
    if is_direct(manager):
        return Direct(keeper, manager, None)
    if isinstance(manager, EmitsEvents):
        return Host(keeper, manager, *manager._delegate_events(None))
    return Host(keeper, manager, None)


@types.coroutine
def start(hosts: Sequence[Openable], latch: Latch) -> Waiting:
    """Start to open these, and wait until all are open or one has failed."""
    for number, host in enumerate(hosts, 1):
        host.start(latch)
        if number % BATCH_SIZE == 0:
            yield
        if latch.missing <= 0:
            return
    yield from _until_open(hosts, latch)


def _until_open(hosts: Sequence[Openable], latch: Latch) -> Waiting:
    """Wait until all of these, which have been started, are open or one has failed."""
    yield  # a turn of the loop, after which resources that do not wait are open
    if latch.missing > 0:
        for host in hosts:
            host.check_started()
        while latch.missing > 0:
            yield from latch.waiter()


wait_until_open = types.coroutine(_until_open)


async def start_in_order(hosts: Sequence[Openable], arrivals: Arrivals) -> None:
    """Start each when its dependencies among these are open, until all are or one has failed."""
    dependents: dict[Openable, list[Openable]] = {host: [] for host in hosts}
    missing: dict[Openable, int] = {}
    for host in hosts:
        own = [need for need in host.needs if isinstance(need, Openable) and need in dependents]
        missing[host] = len(own)
        for need in own:
            dependents[need].append(host)
    ready = deque(host for host in hosts if not missing[host])
    while arrivals.missing > 0:
        await _start_ready(ready, arrivals)
        await arrivals.wait()
        for host in cast("list[Openable]", arrivals.take()):
            for dependent in dependents[host]:
                missing[dependent] -= 1
                if not missing[dependent]:
                    ready.append(dependent)


async def _start_ready(ready: deque[Openable], arrivals: Arrivals) -> None:
    """Start those that are ready, in batches, and check that each has really started."""
    while ready and arrivals.missing > 0:
        batch = [ready.popleft() for _ in range(min(BATCH_SIZE, len(ready)))]
        for host in batch:
            if arrivals.missing > 0:
                host.start(arrivals)
        await turn()
        for host in batch:
            host.check_started()
