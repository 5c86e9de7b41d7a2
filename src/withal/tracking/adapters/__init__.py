"""Adapters: for each module whose resources are followed, what is patched in it."""
