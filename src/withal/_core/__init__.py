"""The core: scopes and the resources that they own. It imports only the standard library.

Comments cite the laws of docs/design.md by number; tests/laws tests each of them.
"""
