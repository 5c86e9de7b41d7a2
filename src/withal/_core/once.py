"""Context managers that can be entered once, and raise a clear error the second time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Generic, TypeVar, final

from withal._core.errors import AlreadyEnteredError

T_co = TypeVar("T_co", covariant=True)


@final
class Once(AbstractAsyncContextManager[T_co], Generic[T_co]):
    """A wrapper that makes its context manager when it is entered, which is possible once.

    In the events of a scope it has the name of the public function that returned it.

    Args:
        name: the name of that function.
        subject: the argument to show in errors, such as a path; None for no argument.
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
            raise RuntimeError(
                f"{self._described()} was exited without having been entered; use `async with`"
            )
        return await self._manager.__aexit__(exc_type, exc, traceback)

    def _described(self) -> str:
        return f"{self.__name__}({'' if self._subject is None else repr(self._subject)})"
