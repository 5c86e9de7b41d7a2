"""Work on folders and trees: walking, matching, copying, removing."""
