"""File objects: opening, buffered binary files, text files, wrapped files and standard streams."""
