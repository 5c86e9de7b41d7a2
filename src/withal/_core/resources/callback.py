"""Callbacks that a scope runs when it closes, plain or asynchronous."""

from __future__ import annotations

from asyncio import Task
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, final

from withal._core.events import Step
from withal._core.resources.base import CLOSED, CLOSING, Resource, ScopeHandle


@final
class Callback(Resource):
    """A deferred call. Its task is started only when the time has come."""

    def __init__(
        self, keeper: ScopeHandle, call: Callable[[], Awaitable[object] | object], name: str
    ) -> None:
        super().__init__(keeper, name)
        self._call = call
        if self.observers:
            self.tell(Step.OPENING)
        self.mark_open(None)

    @property
    def kind(self) -> str:
        """Always ``"callback"``."""
        return "callback"

    def matches(self, value: object) -> bool:
        """Never: a callback is not released, it runs."""
        return False

    def _begin_close(self) -> None:
        self.phase = CLOSING  # a second call only waits
        keeper = self.keeper
        run = self._run()
        try:
            context = keeper.context.copy()
            self.task = keeper.loop.create_task(run, name=self.name, context=context)
        except BaseException as exc:  # of a task factory
            run.close()
            self.mark_closed(exc)
        else:
            self.task.add_done_callback(self._check_started)

    def _check_started(self, task: Task[Any]) -> None:
        # A loop that shuts down cancels tasks that have never run. This call is still owed.
        if self.phase is not CLOSED and task.cancelled():
            self._begin_close()

    async def _run(self) -> None:
        self.mark_closing()
        try:
            result = self._call()
            if isawaitable(result):
                await result
        except BaseException as exc:  # carried to the scope that closes
            self.mark_closed(exc)
        else:
            self.mark_closed(None)
