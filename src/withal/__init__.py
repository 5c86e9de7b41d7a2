"""withal: every resource that an asynchronous program opens is closed, whatever happens."""

from withal._core.declared.declaration import Declaration, needs, resource
from withal._core.declared.plan import Plan, PlannedResource
from withal._core.errors import (
    AlreadyEnteredError,
    AlreadyOpenError,
    CloseTimeoutError,
    DeclarationError,
    DependencyCycleError,
    NotOpenError,
    ResourceLostError,
    ScopeClosedError,
    StillNeededError,
    WithalError,
)
from withal._core.events import Event, Observer, Outcome, Step, observing
from withal._core.runner import run
from withal._core.scope import Scope
from withal._core.scopes.snapshot import CriticalPath, ResourceSnapshot, ScopeSnapshot

__version__ = "0.1.0"

__all__ = [
    "AlreadyEnteredError",
    "AlreadyOpenError",
    "CloseTimeoutError",
    "CriticalPath",
    "Declaration",
    "DeclarationError",
    "DependencyCycleError",
    "Event",
    "NotOpenError",
    "Observer",
    "Outcome",
    "Plan",
    "PlannedResource",
    "ResourceLostError",
    "ResourceSnapshot",
    "Scope",
    "ScopeClosedError",
    "ScopeSnapshot",
    "Step",
    "StillNeededError",
    "WithalError",
    "needs",
    "observing",
    "resource",
    "run",
]
