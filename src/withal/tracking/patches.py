"""Patches: methods and functions that are replaced while a program is tracked.

The replacements do not show in tracebacks: if the original raises, the frame of its replacement is
removed from the traceback.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from types import BuiltinFunctionType, MethodType
from typing import Any, TypeVar, cast, final

from withal._core.aliases import AnyFunction

F = TypeVar("F", bound=AnyFunction)

_MISSING = object()


def hide_frame(error: BaseException) -> None:
    """Remove the frame that has caught this exception from its traceback."""
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next


@final
class Patches:
    """Attributes that have been replaced, and can be restored.

    A callback that raises before or after a method does not break the method; it is reported once.

    Args:
        complain: called with the name of a package and the error, if a callback for one of its
            methods raises.
    """

    def __init__(self, complain: Callable[[str, Exception], None]) -> None:
        self._complain = complain
        self._done: list[tuple[object, str, object]] = []
        self._added: list[tuple[set[Any], object]] = []

    def replace(self, owner: object, name: str, make: Callable[[AnyFunction], object]) -> None:
        """Replace an attribute by the result of `make`, which is called with the original.

        Raises:
            AttributeError: if the owner has no such attribute, or it cannot be replaced.
        """
        attributes = vars(owner)
        own = attributes.get(name, _MISSING)
        original = getattr(owner, name)
        replacement = make(original)
        if isinstance(original, BuiltinFunctionType):
            # A built-in function does not become a method when it is an attribute of a class.
            replacement = staticmethod(cast("AnyFunction", replacement))
        try:
            setattr(owner, name, replacement)
        except TypeError as exc:
            raise AttributeError(f"{name!r} of {owner!r} cannot be replaced") from exc
        self._done.append((owner, name, own))

    def after(self, owner: object, name: str, then: Callable[..., None]) -> None:
        """Call `then` with the object and the arguments after a method has returned."""

        def make(original: AnyFunction) -> object:
            if inspect.iscoroutinefunction(original):

                @wraps(original)
                async def later(thing: object, /, *args: object, **kwargs: object) -> object:
                    try:
                        result = await original(thing, *args, **kwargs)
                    except BaseException as exc:
                        hide_frame(exc)
                        raise
                    try:
                        then(thing, *args, **kwargs)
                    except Exception as exc:
                        self._complain_of(owner, exc)
                    return result

                return later

            @wraps(original)
            def replacement(thing: object, /, *args: object, **kwargs: object) -> object:
                try:
                    result = original(thing, *args, **kwargs)
                except BaseException as exc:
                    hide_frame(exc)
                    raise
                try:
                    then(thing, *args, **kwargs)
                except Exception as exc:
                    self._complain_of(owner, exc)
                return result

            return replacement

        self.replace(owner, name, make)

    def before(self, owner: object, name: str, first: Callable[..., None]) -> None:
        """Call `first` with the object before a method is called."""

        def make(original: AnyFunction) -> object:
            if inspect.iscoroutinefunction(original):

                @wraps(original)
                async def later(thing: object, /, *args: object, **kwargs: object) -> object:
                    try:
                        first(thing)
                    except Exception as exc:
                        self._complain_of(owner, exc)
                    try:
                        return await original(thing, *args, **kwargs)
                    except BaseException as exc:
                        hide_frame(exc)
                        raise

                return later

            @wraps(original)
            def replacement(thing: object, /, *args: object, **kwargs: object) -> object:
                try:
                    first(thing)
                except Exception as exc:
                    self._complain_of(owner, exc)
                try:
                    return original(thing, *args, **kwargs)
                except BaseException as exc:
                    hide_frame(exc)
                    raise

            return replacement

        self.replace(owner, name, make)

    def returning(self, owner: object, name: str, then: Callable[[object], None]) -> None:
        """Call `then` with the result of a function or method."""

        def make(original: AnyFunction) -> object:
            if inspect.iscoroutinefunction(original):

                @wraps(original)
                async def later(*args: object, **kwargs: object) -> object:
                    try:
                        result = await original(*args, **kwargs)
                    except BaseException as exc:
                        hide_frame(exc)
                        raise
                    try:
                        then(result)
                    except Exception as exc:
                        self._complain_of(owner, exc)
                    return result

                return later

            @wraps(original)
            def replacement(*args: object, **kwargs: object) -> object:
                try:
                    result = original(*args, **kwargs)
                except BaseException as exc:
                    hide_frame(exc)
                    raise
                try:
                    then(result)
                except Exception as exc:
                    self._complain_of(owner, exc)
                return result

            return replacement

        self.replace(owner, name, make)

    def returning_of_class(self, owner: object, name: str, then: Callable[[object], None]) -> None:
        """Call `then` with the result of a class method."""

        def make(original: Any) -> object:  # a bound method, for the class itself
            function = original.__func__

            @wraps(function)
            def replacement(cls: type[object], /, *args: object, **kwargs: object) -> object:
                try:
                    result = function(cls, *args, **kwargs)
                except BaseException as exc:
                    hide_frame(exc)
                    raise
                try:
                    then(result)
                except Exception as exc:
                    self._complain_of(owner, exc)
                return result

            return classmethod(replacement)

        self.replace(owner, name, make)

    def add_to(self, functions: set[Any], replacement: object) -> None:
        """Add the replacement of a function to a set that contains the function."""
        functions.add(replacement)
        self._added.append((functions, replacement))

    def __len__(self) -> int:
        return len(self._done)

    def undo(self, down_to: int = 0) -> None:
        """Restore the replaced attributes, the newest first, until `down_to` are left."""
        while self._added and not down_to:
            functions, replacement = self._added.pop()
            functions.discard(replacement)
        while len(self._done) > down_to:
            owner, name, own = self._done.pop()
            if own is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, own)

    def _complain_of(self, owner: object, error: Exception) -> None:
        name = getattr(owner, "__module__", None) or getattr(owner, "__name__", "")
        self._complain(str(name).partition(".")[0], error)


def bound(method: AnyFunction, to: object) -> AnyFunction:
    """Return a function as a method of an object."""
    return MethodType(method, to)
