"""Context managers that serve once, and say so when they are entered again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Generic, TypeVar, final

from withal._core.errors import AlreadyEnteredError

T_co = TypeVar("T_co", covariant=True)


@final
class Once(AbstractAsyncContextManager[T_co], Generic[T_co]):
    """A context manager that is made when this is entered, which it can be once.

    It has the name of the public function that returned it, for the events of a scope.

    Args:
        name: that name.
        subject: what it is about, such as a path; for the error. None if there is none.
        make: returns the context manager.
    """

    __slots__ = ("__name__", "_make", "_manager", "_subject")

    def __init__(
        self, name: str, subject: object, make: Callable[[], AbstractAsyncContextManager[T_co]]
    ) -> None:
        self.__name__ = name
        self._subject = subject
        self._make = make
        self._manager: AbstractAsyncContextManager[T_co] | None = None

    def __repr__(self) -> str:
        return f"<{self._described()}>"

    async def __aenter__(self) -> T_co:
        if self._manager is not None:
            raise AlreadyEnteredError(self._described())
        self._manager = self._make()
        return await self._manager.__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if self._manager is None:
            raise RuntimeError(f"{self._described()} was left without having been entered")
        return await self._manager.__aexit__(exc_type, exc, traceback)

    def _described(self) -> str:
        return f"{self.__name__}({'' if self._subject is None else repr(self._subject)})"
