"""Adapters: each patches one module, so that its resources are followed."""
