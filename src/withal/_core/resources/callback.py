"""Callbacks that a scope runs when it closes, plain or asynchronous."""

from __future__ import annotations

from asyncio import Task
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import final

from withal._core.events import Step
from withal._core.lifecycle import CLOSED
from withal._core.resources.base import Resource, ScopeHandle


@final
class Callback(Resource):
    """A deferred call. Its task is started only when the scope closes."""

    def __init__(
        self, keeper: ScopeHandle, call: Callable[[], Awaitable[object] | object], name: str
    ) -> None:
        super().__init__(keeper, name)
        self._call = call
        if self.observers:
            self.send(Step.OPENING)
        self.mark_open(None)

    @property
    def kind(self) -> str:
        """Always ``"callback"``."""
        return "callback"

    def matches(self, value: object) -> bool:
        """Return false: a callback cannot be released."""
        return False

    def _begin_close(self) -> None:
        self.set_closing()  # a second call only waits
        self._start()

    def _start(self) -> None:
        keeper = self.keeper
        run = self._run()
        try:
            context = keeper.context.copy()
            self.task = keeper.loop.create_task(run, name=self.name, context=context)
        except BaseException as exc:  # raised by a task factory
            run.close()
            self.mark_closed(exc)
        else:
            self.task.add_done_callback(self._check_started)

    def _check_started(self, task: Task[object]) -> None:
        # asyncio.run() cancels all tasks at the end, also those that have not run yet. The callback
        # still has to be called, so another task is started.
        if self.phase is not CLOSED and task.cancelled():
            self._start()

    async def _run(self) -> None:
        if self.observers:
            self.send(Step.CLOSING)
        try:
            result = self._call()
            if isawaitable(result):
                await result
        except BaseException as exc:  # raised by the scope that closes
            self.mark_closed(exc)
        else:
            self.mark_closed(None)
