import tempfile

with tempfile.TemporaryDirectory() as folder:
    print(folder)
other = tempfile.TemporaryDirectory()
other.cleanup()
