"""How fast files are read and written, side by side: ``python -m benchmarks.files``."""
