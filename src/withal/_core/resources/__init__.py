"""The kinds of resource that a scope owns, and how each of them opens and closes."""
