"""Waiting through cancellations, without losing the requests to cancel (law 6)."""
