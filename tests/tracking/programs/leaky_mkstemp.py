import os
import tempfile

number, path = tempfile.mkstemp()  # LEAK descriptor: never closed
os.unlink(path)
