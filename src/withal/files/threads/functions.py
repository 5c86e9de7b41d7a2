"""Functions of the standard library that block, each as a coroutine function that does not."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from functools import partial
from typing import ParamSpec, TypeVar

from withal.files.threads.calls import call

P = ParamSpec("P")
T = TypeVar("T")


def threaded(function: Callable[P, T]) -> Callable[P, Coroutine[object, object, T]]:
    """Return a coroutine function of the same signature that calls `function` in a thread.

    A cancellation ends the wait immediately; the call is still made.
    """

    @functools.wraps(function)
    async def in_thread(*args: P.args, **kwargs: P.kwargs) -> T:
        return await call(partial(function, *args, **kwargs))

    in_thread.__doc__ = f"As the standard library's, in a thread.\n\n{function.__doc__}"
    return in_thread
