"""The forms that a report can take: a function of a record each, which returns a whole file.

Each form is a module with ``render(record)``; `text` has two more, for parts of a record. What they
return ends with a newline, and can be written in UTF-8 whatever the record holds.
"""
