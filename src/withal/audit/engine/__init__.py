"""The attempts of an audit: their order, the cancellation of a task, and the outcome."""
