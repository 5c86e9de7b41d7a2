"""Emits the events of responses and part files for observers, such as a ledger."""

from __future__ import annotations

import asyncio
from typing import final

from withal._core.events import Event, Observers, Outcome, Step, current_observers, emit, next_id
from withal._core.scope import current_names


@final
class ResourceEvents:
    """Emits the events of one resource. Created only if there are observers."""

    __slots__ = ("_id", "_is_open", "_kind", "_name", "_names", "_observers")

    def __init__(self, kind: str, name: str, observers: Observers) -> None:
        self._id = next_id()
        self._kind = kind
        self._name = name
        self._names = current_names()
        self._observers = observers
        self._is_open = True
        self._emit(Step.OPENING)
        self._emit(Step.OPENED)

    @classmethod
    def begin(cls, kind: str, name: str) -> ResourceEvents | None:
        """Report that a resource is open; return None if there are no observers."""
        observers = current_observers()
        return cls(kind, name, observers) if observers else None

    def close(self, outcome: Outcome = Outcome.OK) -> None:
        """Report that it is closed, once."""
        if self._is_open:
            self._is_open = False
            self._emit(Step.CLOSING)
            self._emit(Step.CLOSED, outcome)

    def _emit(self, step: Step, outcome: Outcome | None = None) -> None:
        task = asyncio.current_task()
        event = Event(
            step,
            asyncio.get_running_loop().time(),
            self._id,
            self._name,
            self._kind,
            self._names,
            "" if task is None else task.get_name(),
            outcome,
        )
        emit(self._observers, event)
