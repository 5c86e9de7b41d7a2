"""Blocking calls, made in threads: one pool for each event loop."""
