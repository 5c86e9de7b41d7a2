import tempfile

file = tempfile.NamedTemporaryFile()
file.write(b"1")
file.close()
