"""What an attempt leaves behind, and where its tasks are suspended."""
