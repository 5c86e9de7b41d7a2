"""The error that the delivery `error` raises in place of a result."""

from __future__ import annotations

import errno
from typing import final

from withal._core.errors import WithalError


@final
class InjectedError(WithalError, OSError):
    """The error of a failing peer or disk, which an audit raises in place of a result."""

    __module__ = "withal.audit"

    def __init__(self) -> None:
        super().__init__(errno.EIO, "injected by an audit")

    def __reduce__(self) -> tuple[type[InjectedError], tuple[()]]:
        return InjectedError, ()
