"""The members of an exception group, and the causes behind an exception.

An exception may have any type, whose attributes and comparisons may raise. So exceptions are
compared by identity here, and their fields are read through the descriptors of `BaseException`:
no code of their own types runs.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeGuard, TypeVar, final

E = TypeVar("E", bound=BaseException)

_fields: dict[str, Any] = {**vars(BaseException), **vars(BaseExceptionGroup)}

cause_of: Callable[[BaseException], BaseException | None] = _fields["__cause__"].__get__
context_of: Callable[[BaseException], BaseException | None] = _fields["__context__"].__get__
traceback_of: Callable[[BaseException], TracebackType | None] = _fields["__traceback__"].__get__
members_of: Callable[[BaseException], tuple[BaseException, ...]] = _fields["exceptions"].__get__
set_context: Callable[[BaseException, BaseException | None], None] = _fields["__context__"].__set__
_hides_context: Callable[[BaseException], bool] = _fields["__suppress_context__"].__get__


def is_a(error: BaseException | None, cls: type[E]) -> TypeGuard[E]:
    """Do as `isinstance` does, without reading ``__class__``, which a type may override."""
    return issubclass(type(error), cls)


def only_wraps(error: BaseException, wrapped: BaseException | None) -> bool:
    """Return whether `error` is `wrapped`, or a group of nothing else."""
    if error is wrapped:
        return True
    if wrapped is None or not is_a(error, BaseExceptionGroup):
        return False
    members: ReportedErrors | None = None
    todo = list(members_of(error))
    while todo:
        current = todo.pop()
        if current is wrapped:
            continue
        if is_a(current, BaseExceptionGroup):
            todo += members_of(current)
            continue
        if members is None:
            members = ReportedErrors()
            members.add(wrapped, causes=False)
        if current not in members:
            return False
    return True


def comes_of(error: BaseException, cls: type[BaseException]) -> bool:
    """Return whether the error, a member of its group, or a cause of these is of class `cls`.

    Causes that ``raise X from None`` hides are included.
    """
    seen: dict[int, BaseException] = {}
    todo: list[BaseException | None] = [error]
    while todo:
        current = todo.pop()
        if current is None or id(current) in seen:
            continue
        if is_a(current, cls):
            return True
        seen[id(current)] = current
        todo += [cause_of(current), context_of(current)]
        if is_a(current, BaseExceptionGroup):
            todo += members_of(current)
    return False


@final
class ReportedErrors:
    """Exceptions that are reported already: as themselves, as members of a group, or as causes."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        # The exceptions are referenced, so that no later one can have the same id.
        self._known: dict[int, BaseException] = {}

    def __contains__(self, error: BaseException) -> bool:
        return id(error) in self._known

    def add(
        self, error: BaseException, replaced: BaseException | None = None, *, causes: bool = True
    ) -> bool:
        """Add an exception and all that its traceback shows; return whether it replaces `replaced`.

        It does if `replaced` is among its causes. Exceptions that are known already are not
        visited again, so the time depends only on the number of new ones.
        """
        found = False
        todo = [(error, False)]
        while todo:
            current, is_behind = todo.pop()
            found = found or (is_behind and current is replaced)
            if id(current) in self._known:
                continue
            self._known[id(current)] = current
            if is_a(current, BaseExceptionGroup):
                todo += [(each, is_behind) for each in members_of(current)]
            if causes:
                cause = cause_of(current)
                # `raise X from None` sets no cause and hides the context: it replaces that.
                if cause is None and _hides_context(current):
                    cause = context_of(current)
                if cause is not None:
                    todo.append((cause, True))
        return found

    def without(self, error: BaseException) -> BaseException | None:
        """Return the part of `error` that is not reported yet.

        That is the error itself, None, or its group without the members that are reported. A group
        keeps its structure, notes and traceback, as with `BaseExceptionGroup.split`.
        """
        if error in self:
            return None
        if not is_a(error, BaseExceptionGroup):
            return error
        leaves = set[int]()
        again = new = False
        todo = list(members_of(error))
        while todo:
            current = todo.pop()
            if current in self or id(current) in leaves:
                again = True
            elif is_a(current, BaseExceptionGroup):
                todo += members_of(current)
            else:
                new = True
                leaves.add(id(current))
        if not again or not new:
            return error if new else None

        def is_reported(each: BaseException) -> bool:
            if each in self:
                return True
            if is_a(each, BaseExceptionGroup):
                return False
            is_first = id(each) in leaves
            leaves.discard(id(each))
            return not is_first

        try:
            return BaseExceptionGroup.split(error, is_reported)[1]
        except Exception:  # its type cannot be split: reported twice is better than not at all
            return error
