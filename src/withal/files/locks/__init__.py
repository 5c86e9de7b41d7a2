"""Locks by file, and queues for them."""
