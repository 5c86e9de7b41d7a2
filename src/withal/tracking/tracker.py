"""The tracker: the interface through which adapters report what opens and closes."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, final

from withal._core.aliases import AnyFunction
from withal.ledger.records import Ending
from withal.tracking.book import Book
from withal.tracking.held import Held, Kind
from withal.tracking.patches import Patches

__all__ = ["Kind", "Tracker"]


@final
class Tracker:
    """Records what opens and closes in a program.

    An adapter is a function that is called with a tracker, and patches the classes of one package
    through it. A package can register its own adapter in the entry-point group ``withal.tracking``.
    The name of the entry point is that of the module after whose import it is applied.

    Attributes:
        book: the open resources.
        patches: the replaced attributes, which are restored at the end.

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
        """Follow the objects of a class, from one method to the first of some others.

        Args:
            cls: the class.
            kind: the kind of its objects.
            opens: the method after which an object is open.
            closes: the methods that close it. Those that the class does not have are ignored, but
                it must have one of them. An asynchronous method closes when it has been awaited.
            when: returns whether to follow an object; by default all are followed.

        Raises:
            AttributeError: if the class does not have the methods.
        """
        book = self.book

        get = book.get
        opened = book.opened

        def noted(thing: object, *_: object, **__: object) -> None:
            if (when is None or when(thing)) and get(id(thing)) is None:
                opened(thing, kind, frame=sys._getframe(2))

        self.patches.after(cls, opens, noted)
        found = [name for name in closes if inspect.getattr_static(cls, name, None) is not None]
        if not found:
            raise AttributeError(f"{cls!r} has none of {', '.join(closes)}")
        for name in found:
            self.closing(cls, name)
        if inspect.isfunction(inspect.getattr_static(cls, "__del__", None)):
            # A finalizer may call a method that closes.
            self.patches.before(cls, "__del__", self.dying)

    def dying(self, thing: object) -> None:
        """Record that an object is being collected, as a leak if it is still open."""
        held = self.book.find(thing)
        if held is not None:
            self.book.end(held, Ending.CLOSED if held.is_over() else Ending.COLLECTED)

    def closing(self, cls: type, name: str) -> None:
        """Make a method of a class close its object, also if the method raises."""
        closed = self.book.closed
        method = inspect.getattr_static(cls, name)
        if inspect.iscoroutinefunction(method):
            self._closing_later(cls, name)
        else:
            self.patches.before(cls, name, closed)

    def _closing_later(self, cls: type, name: str) -> None:
        from withal.tracking.patches import hide_frame

        closed = self.book.closed

        def make(original: AnyFunction) -> object:
            from functools import wraps

            @wraps(original)
            async def replacement(self: object, *args: object, **kwargs: object) -> object:
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
        """Record that an object has opened; see `Book.opened`."""
        return self.book.opened(thing, kind, **how)

    def closed(self, thing: object, ending: Ending = Ending.CLOSED) -> None:
        """Record that an object has closed, if it is followed."""
        self.book.closed(thing, ending)
