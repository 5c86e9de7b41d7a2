"""Declared resources: their dependencies, the order of opening, and which of them are open."""
