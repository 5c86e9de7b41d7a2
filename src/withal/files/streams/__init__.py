"""File objects: how they are opened, read, written and closed."""
