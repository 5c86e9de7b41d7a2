"""Tasks and asynchronous generators, including those that the end of a loop cancels or closes."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from withal._core.aliases import AnyFunction
from withal.ledger.records import Ending
from withal.tracking.book import Book
from withal.tracking.held import Kind
from withal.tracking.patches import hide_frame
from withal.tracking.program import PROGRAM
from withal.tracking.tracker import Tracker

TASK = Kind("task", "task", 5, lambda task: bool(task.done()), dies_closed=True, is_light=True)
GENERATOR = Kind("generator", "manager", 1, lambda each: each.ag_frame is None, dies_closed=True)

MAY_BE_EAGER = sys.version_info >= (3, 12)

_DESTROYED = "Task was destroyed but it is pending!"


def follow_tasks(tracker: Tracker) -> None:
    """Follow tasks, from their creation until they are done."""
    from asyncio import base_events

    book = tracker.book
    follow_tasks_of(tracker, base_events.BaseEventLoop)
    tracker.patches.replace(
        base_events.BaseEventLoop, "call_exception_handler", _recording_destroyed(book)
    )
    tracker.patches.before(
        base_events.BaseEventLoop, "shutdown_asyncgens", _ending_generators(book)
    )
    tracker.patches.before(base_events.BaseEventLoop, "close", partial(end_tasks_of, book))


def follow_tasks_of(tracker: Tracker, loop_class: object) -> None:
    """Follow the tasks of a class of loops."""
    book = tracker.book

    def make(original: AnyFunction) -> object:
        @wraps(original)
        def create_task(self: Any, coro: object, **kwargs: object) -> object:
            try:
                task = original(self, coro, **kwargs)
            except BaseException as exc:
                hide_frame(exc)
                raise
            if book.last_loop != id(self):
                book.note_loop(self)
            if not (MAY_BE_EAGER and task.done()):
                held = book.opened(task, TASK, frame=sys._getframe(1))
                if held is not None:
                    held.type_name = getattr(coro, "__qualname__", held.type_name)
                    held.name = held.type_name
                    held.own_task = task.get_name()
                    if not held.id & 255:
                        book.sweep_tasks()
            return task

        return create_task

    tracker.patches.replace(loop_class, "create_task", make)


def end_tasks_of(book: Book, loop: object) -> None:
    """Record that the tasks that are left when a loop closes will never end."""
    for held in list(book.open_now()):
        task: Any = None if held.ref is None or held.sort is not TASK else held.ref()
        if task is not None and task.get_loop() is loop:
            book.end(held, Ending.CLOSED if task.done() else Ending.NEVER)


def follow_uvloop_tasks(tracker: Tracker) -> None:
    """Follow the tasks of uvloop's loops."""
    import uvloop

    follow_tasks_of(tracker, uvloop.Loop)
    tracker.patches.replace(
        uvloop.Loop, "call_exception_handler", _recording_destroyed(tracker.book)
    )
    tracker.patches.before(uvloop.Loop, "shutdown_asyncgens", _ending_generators(tracker.book))
    tracker.patches.before(uvloop.Loop, "close", partial(end_tasks_of, tracker.book))


def follow_runners(tracker: Tracker) -> None:
    """Record the tasks that are left when the main coroutine of ``asyncio.run`` has returned."""
    from asyncio import runners

    book = tracker.book

    def make(original: AnyFunction) -> object:
        @wraps(original)
        def cancel_all_tasks(loop: Any) -> None:
            for task in asyncio.all_tasks(loop):
                book.closed(task, Ending.LOOP_END)
            original(loop)

        return cancel_all_tasks

    tracker.patches.replace(runners, "_cancel_all_tasks", make)


def _recording_destroyed(book: Book) -> Callable[[AnyFunction], object]:
    def make(original: AnyFunction) -> object:
        @wraps(original)
        def call_exception_handler(self: object, context: Any) -> None:
            if context.get("message") == _DESTROYED:
                book.died_open(context.get("task"))
            original(self, context)

        return call_exception_handler

    return make


def _ending_generators(book: Book) -> Callable[..., None]:
    def ending(loop: object) -> None:
        for held in book.open_now():
            if held.sort is GENERATOR and held.ref is not None:
                generator: Any = held.ref()
                if generator is not None:
                    over = generator.ag_frame is None
                    book.end(held, Ending.CLOSED if over else Ending.LOOP_END)

    return ending


def follow_generators(tracker: Tracker) -> None:
    """Follow asynchronous generators of the program, from their first step."""
    book = tracker.book

    def first(generator: Any) -> None:
        # The generator of a context manager is followed through its `with` statement.
        caller = sys._getframe(2)
        is_own = book.program.owner(generator.ag_code.co_filename) is PROGRAM
        if is_own and caller.f_code.co_filename != contextlib.__file__:
            held = book.opened(generator, GENERATOR, frame=caller)
            if held is not None:
                held.type_name = held.name = generator.__qualname__

    def collected(generator: object) -> None:
        book.died_open(generator)

    def make(original: AnyFunction) -> object:
        @wraps(original)
        def set_asyncgen_hooks(*args: object, **kwargs: object) -> None:
            names = ("firstiter", "finalizer")
            hooks = dict(zip(names, args, strict=False)) | kwargs
            for name, notice in (("firstiter", first), ("finalizer", collected)):
                if hooks.get(name) is not None:
                    hooks[name] = _both(notice, hooks[name])
            original(**hooks)

        return set_asyncgen_hooks

    tracker.patches.replace(sys, "set_asyncgen_hooks", make)


class _Both:
    """A hook that calls `notice`, and then the loop's own hook."""

    __slots__ = ("notice", "then")

    def __init__(self, notice: Any, then: Any) -> None:
        self.notice = notice
        self.then = then

    def __call__(self, generator: Any) -> None:
        self.notice(generator)
        self.then(generator)


def _both(notice: object, then: object) -> object:
    while isinstance(then, _Both):  # set again from what sys.get_asyncgen_hooks returned
        then = then.then
    return _Both(notice, then)
