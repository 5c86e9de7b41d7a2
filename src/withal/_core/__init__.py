"""The core: scopes, what they hold, and what they promise. Standard library only.

The laws cited here by number stand in docs/design.md; each is held by a test in tests/laws.
"""
