"""The formats of tracking reports."""
