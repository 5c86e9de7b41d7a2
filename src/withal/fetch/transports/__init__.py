"""HTTP clients that make the requests of `fetch`."""
