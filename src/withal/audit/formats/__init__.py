"""The forms that a report can take: a function of a record each, which returns a text."""
