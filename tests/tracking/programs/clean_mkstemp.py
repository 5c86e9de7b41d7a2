import os
import tempfile

number, path = tempfile.mkstemp()
os.close(number)
os.unlink(path)
with tempfile.NamedTemporaryFile() as file, tempfile.TemporaryFile() as other:
    file.write(b"1")
    other.write(b"2")
