"""Descriptors and the page cache: system calls that need no thread."""
