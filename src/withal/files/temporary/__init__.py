"""The kinds of temporary files and folders."""
