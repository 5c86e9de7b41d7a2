import os
import tempfile

path = os.path.join(tempfile.gettempdir(), f"withal-{os.getpid()}")
with open(path, "wb") as file:
    file.write(b"data")
os.unlink(path)
