"""Context variables that a manager sets for its body, carried to the body and taken back.

A tracing span, a bound logger or a decimal context is a manager that sets a context variable. A
scope enters it in a context of its own, so that its exit can reset the variable. What it has set
there is set in the context of the task that entered it, too, and in the scope's, for what opens
later. When it closes, the earlier values return.

For each variable, in each context, what is open stands in the order of opening. What closes before
a later one does hands its earlier value on to that: the values return in reverse order whichever
closes first, and whatever the body has set meanwhile.
"""

from __future__ import annotations

from asyncio import Task, current_task
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context, ContextVar, Token
from typing import Any, TypeAlias, final
from weakref import ref

from withal._core.resources.base import Resource

Changes: TypeAlias = Sequence[tuple[ContextVar[Any], Any]]

# Where a value is set: the context of a task that has entered something, or the scope's.
_Place: TypeAlias = ref[Task[Any]] | None

_MISSING = object()

# What tasks have to take back that did not run when something closed: another task has closed it.
owed: dict[ref[Task[Any]], list[tuple[ContextVar[Any], Token[Any]]]] = {}


def changes(before: Context, after: Context, task: Task[Any] | None = None) -> Changes:
    """Return what was set from one context to the other, in constant time if nothing was.

    withal's own variables are left out: they are for what runs in a scope, and not for its body. So
    is what stands for the task that opened the resource.
    """
    if after == before:
        return ()
    return [
        (var, value)
        for var, value in after.items()
        if before.get(var, _MISSING) is not value
        and not var.name.startswith("withal_")
        and (task is None or value is not task)
    ]


@final
class Carried:
    """What the resources of one scope that are open have set.

    Args:
        context: the scope's, as it was before.
    """

    __slots__ = ("_context", "_of", "_set")

    def __init__(self, context: Context) -> None:
        self._context = context.copy()
        self._set: dict[tuple[_Place, ContextVar[Any]], dict[Resource, Token[Any]]] = {}
        self._of: dict[Resource, list[tuple[_Place, ContextVar[Any]]]] = {}

    @property
    def context(self) -> Context:
        """The scope's context as it is now."""
        return self._context.copy()

    def carry(self, resource: Resource, found: Changes, *, to_caller: bool) -> None:
        """Set what was found to have changed in the scope's context, and in the caller's."""
        task = current_task()
        for var, value in found:
            self._keep(resource, None, var, self._context.run(var.set, value))
            if to_caller and task is not None:
                self._keep(resource, ref(task), var, var.set(value))

    def _keep(
        self, resource: Resource, place: _Place, var: ContextVar[Any], token: Token[Any]
    ) -> None:
        key = place, var
        self._set.setdefault(key, {})[resource] = token
        self._of.setdefault(resource, []).append(key)

    def take_back(self, resource: Resource) -> None:
        """Have the values return that were in force before this resource set others."""
        for key in self._of.pop(resource, ()):
            tokens = self._set[key]
            behind = list(tokens)[list(tokens).index(resource) + 1 :] if len(tokens) > 1 else ()
            token = tokens.pop(resource)
            if behind:
                tokens[behind[0]] = token
            else:
                self._reset(*key, token)
            if not tokens:
                del self._set[key]

    def _reset(self, place: _Place, var: ContextVar[Any], token: Token[Any]) -> None:
        if place is None:
            self._context.run(var.reset, token)
            return
        task = place()
        if task is not None and not task.done():
            owed.setdefault(ref(task, _forget), []).append((var, token))


def settle_owed() -> None:
    """Take back, in the calling task, what was set in its context by what has closed since."""
    task = current_task() if owed else None
    if task is not None:
        for var, token in owed.pop(ref(task), ()):
            with suppress(ValueError):  # it was set in another context of the same task
                var.reset(token)


def _forget(task: ref[Task[Any]]) -> None:
    owed.pop(task, None)
