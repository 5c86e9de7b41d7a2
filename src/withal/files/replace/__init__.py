"""Files that appear complete: atomic writes and part files."""
