"""The state of a scope, and the functions that open, release and close its resources."""
