"""Tracking: the resources that a program opens, the lines that open them, and leaks."""

from withal.tracking.api import tracking
from withal.tracking.held import Kind
from withal.tracking.tracker import Tracker
from withal.tracking.verdict import Leak

__all__ = ["Kind", "Leak", "Tracker", "tracking"]
