"""The folder that files are fetched into: its journal, and its part files."""
