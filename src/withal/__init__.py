"""withal: every resource that an asynchronous program opens is closed, whatever happens."""

from withal._core.errors import (
    AlreadyEnteredError,
    CloseTimeoutError,
    NotOpenError,
    ResourceLostError,
    ScopeClosedError,
    WithalError,
)
from withal._core.events import Event, Observer, Outcome, Step, observing
from withal._core.scope import Scope
from withal._core.snapshot import ResourceSnapshot, ScopeSnapshot

__version__ = "0.1.0"

__all__ = [
    "AlreadyEnteredError",
    "CloseTimeoutError",
    "Event",
    "NotOpenError",
    "Observer",
    "Outcome",
    "ResourceLostError",
    "ResourceSnapshot",
    "Scope",
    "ScopeClosedError",
    "ScopeSnapshot",
    "Step",
    "WithalError",
    "observing",
]
