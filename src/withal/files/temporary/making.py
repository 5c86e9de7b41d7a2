"""A temporary file that is about to be created: to be awaited or entered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, TypeVar, final

from withal._core.errors import AlreadyEnteredError
from withal.files.streams.proxy import Forwarding

F = TypeVar("F", bound=Forwarding[Any])


@final
class Making(Generic[F]):
    """A temporary file that is created once, when this is awaited or entered.

    Its `__name__` is that of the function that returned it, for the events of a scope that enters
    it.
    """

    __slots__ = ("__name__", "_file", "_is_entered", "_make")

    def __init__(self, name: str, make: Callable[[], Coroutine[object, object, F]]) -> None:
        self.__name__: str = name
        self._make = make
        self._file: F | None = None
        self._is_entered = False

    def __await__(self) -> Generator[object, Any, F]:
        return self._get().__await__()

    async def _get(self) -> F:
        if self._file is None:
            self._file = await self._make()
        return self._file

    async def __aenter__(self) -> F:
        if self._is_entered:
            raise AlreadyEnteredError(self.__name__)
        self._is_entered = True
        return await (await self._get()).__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            await self._file.__aexit__(kind, error, trace)
