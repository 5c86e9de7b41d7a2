"""The leftovers of an attempt, and the suspensions of its tasks."""
