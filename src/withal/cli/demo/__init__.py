"""``withal demo``: downloads from a misbehaving server, and a table of the opened resources."""
