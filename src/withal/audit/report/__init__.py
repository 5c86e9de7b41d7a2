"""The record of an audit, and the forms that its report can take.

Each form is a module with ``render(record)``, which returns a whole file. What it returns ends with
a newline, and can be written in UTF-8 whatever the record holds.
"""
