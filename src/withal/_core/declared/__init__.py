"""Declared resources: what they need, the order that follows, and which of them are open."""
