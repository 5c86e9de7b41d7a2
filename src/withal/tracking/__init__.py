"""Tracking: what a program has opened, by which line, and what it has never closed."""

from withal.tracking.api import tracking
from withal.tracking.held import Kind
from withal.tracking.tracker import Tracker
from withal.tracking.verdict import Leak

__all__ = ["Kind", "Leak", "Tracker", "tracking"]
