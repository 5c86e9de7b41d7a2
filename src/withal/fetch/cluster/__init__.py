"""Fetching on a Ray cluster."""
