"""Testing: virtual time, a resource whose steps a test controls, and a check of any manager."""

from __future__ import annotations

from withal.testing.check import check_manager
from withal.testing.deadlock import DeadlockError
from withal.testing.double import OutOfStepError, Resource, ResourceState
from withal.testing.findings import Finding, ManagerCheckError, ManagerReport
from withal.testing.loop import VirtualTimeLoop, run

__all__ = [
    "DeadlockError",
    "Finding",
    "ManagerCheckError",
    "ManagerReport",
    "OutOfStepError",
    "Resource",
    "ResourceState",
    "VirtualTimeLoop",
    "check_manager",
    "run",
]
