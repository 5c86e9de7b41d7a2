"""Context variables that a manager sets: copied to the body and to later resources, then reset.

A tracing span, a bound logger or a decimal context is a manager that sets a context variable. A
scope enters it in a separate context, so that its exit can reset the variable. The values that it
has set there are copied to the context of the task that entered it and to the scope's context,
which later resources use. When the manager closes, the earlier values are restored.

For each variable in each context, the open resources are listed in the order of opening, each with
the token of the value before it. A resource that closes before a later one passes its token on to
that one. So the values are restored in reverse order, in any order of closing, and also if the body
has set the variable meanwhile.
"""

from __future__ import annotations

from asyncio import Task, current_task
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context, ContextVar, Token
from typing import Any, TypeAlias, final
from weakref import ref

from withal._core.resources.base import Resource

# A context variable of the user, and the token of a value: their types are not known here.
_Variable: TypeAlias = ContextVar[Any]
_Token: TypeAlias = Token[Any]

Changes: TypeAlias = Sequence[tuple[_Variable, object]]

# Where a value is set: the context of a task that has entered a resource; None for the scope's.
_Place: TypeAlias = ref[Task[object]] | None

_MISSING = object()

# Tokens that a task still has to reset, because another task has closed the resource: a token can
# be reset only in the context in which it was made.
# https://docs.python.org/3/library/contextvars.html#contextvars.ContextVar.reset
owed: dict[ref[Task[object]], list[tuple[_Variable, _Token]]] = {}


def changes(before: Context, after: Context, task: Task[object] | None = None) -> Changes:
    """Return the variables that differ between two contexts, in constant time if none do.

    withal's own variables are excluded: they are meant for tasks in a scope, not for its body.
    A variable whose value is `task` is excluded too.
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
    """The context variables that the open resources of one scope have set.

    Args:
        context: the scope's context before any of them.
    """

    __slots__ = ("_context", "_of", "_set")

    def __init__(self, context: Context) -> None:
        self._context = context.copy()
        self._set: dict[tuple[_Place, _Variable], dict[Resource, _Token]] = {}
        self._of: dict[Resource, list[tuple[_Place, _Variable]]] = {}

    @property
    def context(self) -> Context:
        """The scope's context as it is now."""
        return self._context.copy()

    def carry(self, resource: Resource, found: Changes, *, to_caller: bool) -> None:
        """Set the changed variables in the scope's context, and in the caller's if `to_caller`."""
        task = current_task()
        for var, value in found:
            self._keep(resource, None, var, self._context.run(var.set, value))
            if to_caller and task is not None:
                self._keep(resource, ref(task), var, var.set(value))

    def _keep(self, resource: Resource, place: _Place, var: _Variable, token: _Token) -> None:
        key = place, var
        self._set.setdefault(key, {})[resource] = token
        self._of.setdefault(resource, []).append(key)

    def take_back(self, resource: Resource) -> None:
        """Restore the values from before this resource set others."""
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

    def _reset(self, place: _Place, var: _Variable, token: _Token) -> None:
        if place is None:
            self._context.run(var.reset, token)
            return
        task = place()
        if task is not None and not task.done():
            owed.setdefault(ref(task, _forget), []).append((var, token))


def settle_owed() -> None:
    """Reset, in the calling task, variables of resources that other tasks have closed."""
    task = current_task() if owed else None
    if task is not None:
        for var, token in owed.pop(ref(task), ()):
            with suppress(ValueError):  # it was set in another context of the same task
                var.reset(token)


def _forget(task: ref[Task[object]]) -> None:
    owed.pop(task, None)
