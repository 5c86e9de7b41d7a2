"""The forms of a report of tracking."""
