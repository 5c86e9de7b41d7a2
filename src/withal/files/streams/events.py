"""The events of an open file: opening and closing."""

from __future__ import annotations

from asyncio import Future, current_task, get_running_loop
from typing import final

from withal._core.events import Event, Observers, Outcome, Step, emit, next_id
from withal._core.outcome import outcome_of
from withal._core.scope import current_names


@final
class FileEvents:
    """The events of one file. Created only if there are observers.

    Args:
        name: the file's name.
        observers: the observers of the file.
    """

    __slots__ = ("_id", "_name", "_names", "_observers")

    def __init__(self, name: str, observers: Observers) -> None:
        self._id = next_id()
        self._name = name
        self._names = current_names()
        self._observers = observers
        self._emit_step(Step.OPENING)

    def opened(self) -> None:
        """Report that it is open."""
        self._emit_step(Step.OPENED)

    def failed(self, error: BaseException) -> None:
        """Report that it could not be opened."""
        self._emit_step(Step.FAILED, outcome_of(error))

    def closing(self) -> None:
        """Report that it is about to close."""
        self._emit_step(Step.CLOSING)

    def closed(self, closing: Future[None]) -> None:
        """Report that it is closed, and the outcome."""
        self._emit_step(Step.CLOSED, outcome_of(closing.exception()))

    def _emit_step(self, step: Step, outcome: Outcome | None = None) -> None:
        task = current_task()
        event = Event(
            step,
            get_running_loop().time(),
            self._id,
            self._name,
            "file",
            self._names,
            "" if task is None else task.get_name(),
            outcome,
        )
        emit(self._observers, event)
