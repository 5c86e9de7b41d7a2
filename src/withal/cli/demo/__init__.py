"""``withal demo``: a batch from a misbehaving server, and the account of what was opened."""
