"""Audit: cancel a context manager, or any coroutine, at every await, and check what it leaks."""

from __future__ import annotations

from withal.audit.api import audit, survey
from withal.audit.fixtures.contention import contended, queued
from withal.audit.fixtures.crowd import crowd
from withal.audit.fixtures.faulty_proxy import Fault, faults
from withal.audit.fixtures.operations import Operations, operations
from withal.audit.fixtures.slow_proxy import slow_proxy
from withal.audit.injected_error import InjectedError
from withal.audit.report.record import Attempt, Category, Delivery, Finding, Suspension, Verdict
from withal.audit.report.report import AuditError, Report
from withal.audit.scenario import Scenario, ScenarioError
from withal.audit.session import expect

__all__ = [
    "Attempt",
    "AuditError",
    "Category",
    "Delivery",
    "Fault",
    "Finding",
    "InjectedError",
    "Operations",
    "Report",
    "Scenario",
    "ScenarioError",
    "Suspension",
    "Verdict",
    "audit",
    "contended",
    "crowd",
    "expect",
    "faults",
    "operations",
    "queued",
    "slow_proxy",
    "survey",
]
