"""Requests, and the files and iterables that they are read from."""
