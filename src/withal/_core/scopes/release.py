"""Closing some resources of a scope early, while the scope stays open."""

from __future__ import annotations

from asyncio import current_task
from collections.abc import Sequence

from withal._core.errors import NotOpenError, StillNeededError
from withal._core.lifecycle import OPEN
from withal._core.resources.base import Resource
from withal._core.resources.inline import Inline
from withal._core.resources.managed import Openable
from withal._core.scopes.closing import begin_closing, inline_elsewhere, raise_result
from withal._core.scopes.stages import Closing
from withal._core.scopes.state import ScopeState


async def release(state: ScopeState, value: object) -> None:
    """Close one resource now, and raise the exception of its finalizer."""
    resource = state.find(value)
    if resource is None:
        raise NotOpenError(state.path, repr(value))
    state.check_loop("release", resource.name)
    if resource.users:
        users = tuple(user.name for user in resource.users)
        raise StillNeededError(state.path, resource.name, users)
    task = current_task()
    if resource.task is task:
        raise RuntimeError(
            f"{resource.name!r} in scope {state.path!r} cannot be released by the task that it "
            "runs in, which would wait for itself; release it from another task, or return"
        )
    if isinstance(resource, Inline) and not state.is_owned_by(task):
        raise inline_elsewhere(state, resource)
    closing = begin_closing(state, None, task)
    if resource.kind == "scope":
        for child in state.within:
            if child.is_owned_by(resource.task):
                child.bound = closing.deadline  # it closes as a part of this release
                child.least = closing.least
    await _close_early(state, (resource,), closing)


async def roll_back(state: ScopeState, hosts: Sequence[Openable], error: BaseException) -> None:
    """Close the resources of a failed opening, except those that others use already (law 2).

    The hosts are in the order of their dependencies. If the scope is closing, it closes them.
    """
    going = list[Openable]()
    for host in reversed(hosts):
        if host.phase is OPEN and set(host.users or ()) <= set(going):
            going.append(host)
    if state.phase is OPEN and going:
        closing = begin_closing(state, error, current_task())
        closing.result.ignore_suppression = True
        await _close_early(state, going, closing)


async def _close_early(state: ScopeState, resources: Sequence[Resource], closing: Closing) -> None:
    """Close some open resources concurrently, and raise their errors."""
    if state.releasing is None:
        state.releasing = {}
    state.releasing.update((each, []) for each in resources)
    rest = closing.stage(resources)
    if rest is not None:
        await rest
    state.take_back(resources)
    for each in resources:
        state.ended(each)
        for watcher in state.releasing.pop(each):
            watcher.arrive()
    raise_result(state, closing)
