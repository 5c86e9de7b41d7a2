"""Audit: cancel a context manager, or any coroutine, at each of its suspensions, and look for leaks."""
