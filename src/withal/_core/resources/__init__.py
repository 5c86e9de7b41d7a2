"""The sorts of resource that a scope owns: how each of them opens, lives and closes."""
