"""The tracker: what adapters are given, to say what opens and closes."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, final

from withal.ledger.records import Ending
from withal.tracking.book import Book
from withal.tracking.held import Held, Kind
from withal.tracking.patches import Patches

__all__ = ["Kind", "Tracker"]


@final
class Tracker:
    """Takes note of what opens and closes in a program.

    An adapter is a function that is given a tracker, and patches the classes of one package
    through it. A package that brings its own names it in the entry-point group
    ``withal.tracking``, under the name of the module whose import it waits for.

    Attributes:
        book: what is open.
        patches: what has been replaced, and is put back at the end.

    Example:
        >>> from withal.tracking import Kind, tracking
        >>> class Lamp:
        ...     def __init__(self): ...
        ...     def switch_off(self): ...
        >>> def adapter(tracker):
        ...     tracker.follow(Lamp, Kind("lamp", "lamp"), closes=["switch_off"])
        >>> with tracking(adapters=[adapter]) as ledger:
        ...     lamp = Lamp()
        >>> print(ledger.leaked()[0].kind)
        lamp
    """

    def __init__(self, book: Book, patches: Patches) -> None:
        self.book = book
        self.patches = patches

    def follow(
        self,
        cls: type,
        kind: Kind,
        *,
        opens: str = "__init__",
        closes: list[str] | tuple[str, ...] = ("close",),
        when: Callable[[Any], bool] | None = None,
    ) -> None:
        """Follow the objects of a class, from one method to the first of others.

        Args:
            cls: the class.
            kind: what its objects are.
            opens: the method after which an object is open.
            closes: the methods by which it closes; those that the class does not have are left
                out, but it must have one. An asynchronous method closes when it has been awaited.
            when: tells of an object whether it is followed.

        Raises:
            AttributeError: if the class has not the methods.
        """
        book = self.book

        get = book.get
        opened = book.opened

        def noted(thing: Any, *_: object, **__: object) -> None:
            if (when is None or when(thing)) and get(id(thing)) is None:
                opened(thing, kind, frame=sys._getframe(2))

        self.patches.after(cls, opens, noted)
        found = [name for name in closes if inspect.getattr_static(cls, name, None) is not None]
        if not found:
            raise AttributeError(f"{cls!r} has none of {', '.join(closes)}")
        for name in found:
            self.closing(cls, name)
        if inspect.isfunction(inspect.getattr_static(cls, "__del__", None)):
            # Which may call what closes.
            self.patches.before(cls, "__del__", self.dying)

    def dying(self, thing: object) -> None:
        """Note that an object is being collected: if it is still open, was not closed it."""
        held = self.book.find(thing)
        if held is not None:
            self.book.end(held, Ending.CLOSED if held.is_over() else Ending.COLLECTED)

    def closing(self, cls: type, name: str) -> None:
        """Have a method of a class close its object, however it ends."""
        closed = self.book.closed
        method = inspect.getattr_static(cls, name)
        if inspect.iscoroutinefunction(method):
            self._closing_later(cls, name)
        else:
            self.patches.before(cls, name, closed)

    def _closing_later(self, cls: type, name: str) -> None:
        from withal.tracking.patches import hide_frame

        closed = self.book.closed

        def make(original: Any) -> Any:
            from functools import wraps

            @wraps(original)
            async def replacement(self: Any, *args: Any, **kwargs: Any) -> Any:
                try:
                    return await original(self, *args, **kwargs)
                except BaseException as exc:
                    hide_frame(exc)
                    raise
                finally:
                    closed(self)

            return replacement

        self.patches.replace(cls, name, make)

    def opened(self, thing: object, kind: Kind, **how: Any) -> Held | None:
        """Note that an object has opened; see `Book.opened`."""
        return self.book.opened(thing, kind, **how)

    def closed(self, thing: object, ending: Ending = Ending.CLOSED) -> None:
        """Note that an object has closed, if it is known."""
        self.book.closed(thing, ending)
