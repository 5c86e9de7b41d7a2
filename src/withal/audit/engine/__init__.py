"""The attempts of an audit: what is tried, how a task is cancelled, and what comes of it."""
