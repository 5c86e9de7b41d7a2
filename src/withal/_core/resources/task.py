"""Tasks that a scope owns. They are cancelled and awaited before earlier resources close."""

from __future__ import annotations

from asyncio import Task
from typing import final

from withal._core.aliases import Coro
from withal._core.causes import is_a
from withal._core.errors import ScopeClosedError
from withal._core.events import Step
from withal._core.lifecycle import OPEN
from withal._core.managers import name_of
from withal._core.resources.base import Resource, ScopeHandle


@final
class Spawned(Resource):
    """A task, open from its start to its end."""

    def __init__(self, keeper: ScopeHandle, coro: Coro[object], name: str | None) -> None:
        super().__init__(keeper, name or name_of(coro))
        self.task = keeper.loop.create_task(coro, name=self.name, context=keeper.context.copy())
        if self.observers:
            self.send(Step.OPENING)
        self.mark_open(self.task)
        self.task.add_done_callback(self._has_ended)

    @property
    def kind(self) -> str:
        """Always ``"task"``."""
        return "task"

    def _begin_close(self) -> None:
        assert self.task is not None
        self.set_closing()
        if self.observers:
            self.send(Step.CLOSING)
        self.task.cancel()

    def _has_ended(self, task: Task[object]) -> None:
        early = self.phase is OPEN
        error = None if task.cancelled() else task.exception()
        if is_a(error, ScopeClosedError) and error.scope == self.keeper.path:
            error = None  # expected: the task was using the scope when it closed
        if early and self.observers:
            self.send(Step.CLOSING if error is None else Step.LOST)
        self.mark_closed(error)
        if early and error is None:
            self.keeper.ended(self)
        elif early:
            self.keeper.lost(self)
