"""withal: every resource that an asynchronous program opens is closed, whatever happens."""

from typing import TYPE_CHECKING

from withal._core.facade import deferred

if TYPE_CHECKING:
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

_HOMES = {
    "AlreadyEnteredError": "withal._core.errors",
    "AlreadyOpenError": "withal._core.errors",
    "CloseTimeoutError": "withal._core.errors",
    "CriticalPath": "withal._core.scopes.snapshot",
    "Declaration": "withal._core.declared.declaration",
    "DeclarationError": "withal._core.errors",
    "DependencyCycleError": "withal._core.errors",
    "Event": "withal._core.events",
    "NotOpenError": "withal._core.errors",
    "Observer": "withal._core.events",
    "Outcome": "withal._core.events",
    "Plan": "withal._core.declared.plan",
    "PlannedResource": "withal._core.declared.plan",
    "ResourceLostError": "withal._core.errors",
    "ResourceSnapshot": "withal._core.scopes.snapshot",
    "Scope": "withal._core.scope",
    "ScopeClosedError": "withal._core.errors",
    "ScopeSnapshot": "withal._core.scopes.snapshot",
    "Step": "withal._core.events",
    "StillNeededError": "withal._core.errors",
    "WithalError": "withal._core.errors",
    "needs": "withal._core.declared.declaration",
    "observing": "withal._core.events",
    "resource": "withal._core.declared.declaration",
    "run": "withal._core.runner",
}

if not TYPE_CHECKING:  # or type checkers would take any name to be there
    __getattr__, __dir__ = deferred(__name__, _HOMES)
