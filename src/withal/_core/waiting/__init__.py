"""Waiting through cancellations, and keeping what was requested meanwhile (law 6)."""
