"""The record of an audit, and the formats of its report.

Each format is a module with ``render(record)``, which returns a complete file. The text ends with a
newline, and can always be encoded in UTF-8.
"""
