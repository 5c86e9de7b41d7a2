"""Descriptors and the page cache: what can be done without a thread, by system calls."""
