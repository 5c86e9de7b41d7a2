"""A response or a part file as the ledger has it: the events of its opening and closing."""

from __future__ import annotations

import asyncio
from typing import final

from withal._core.events import Event, Observers, Outcome, Step, current_observers, emit, next_id
from withal._core.scope import current_names


@final
class ResourceEvents:
    """What observers are told of one resource. Made only where there are any."""

    __slots__ = ("_id", "_is_open", "_kind", "_name", "_names", "_observers")

    def __init__(self, kind: str, name: str, observers: Observers) -> None:
        self._id = next_id()
        self._kind = kind
        self._name = name
        self._names = current_names()
        self._observers = observers
        self._is_open = True
        self._tell(Step.OPENING)
        self._tell(Step.OPENED)

    @classmethod
    def begin(cls, kind: str, name: str) -> ResourceEvents | None:
        """Tell that a resource is open, if anybody listens."""
        observers = current_observers()
        return cls(kind, name, observers) if observers else None

    def close(self, outcome: Outcome = Outcome.OK) -> None:
        """Tell that it is closed, once."""
        if self._is_open:
            self._is_open = False
            self._tell(Step.CLOSING)
            self._tell(Step.CLOSED, outcome)

    def _tell(self, step: Step, outcome: Outcome | None = None) -> None:
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
