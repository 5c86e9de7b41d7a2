"""What a scope holds, and how it opens, releases and closes that."""
