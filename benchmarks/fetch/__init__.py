"""What fetching costs, and how others fare against servers that misbehave."""
