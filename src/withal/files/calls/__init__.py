"""Calls that block: made in threads, or inline where the kernel promises not to wait."""
