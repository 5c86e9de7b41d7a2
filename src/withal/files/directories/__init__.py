"""Directories and trees: walking, copying, removing."""
