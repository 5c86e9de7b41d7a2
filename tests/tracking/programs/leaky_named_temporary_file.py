import tempfile

file = tempfile.NamedTemporaryFile()  # LEAK file: never closed
file.write(b"1")
