import os
import tempfile

path = os.path.join(tempfile.gettempdir(), f"withal-{os.getpid()}")
kept = [open(path, "wb")]  # LEAK file: never closed
kept[0].write(b"data")
os.unlink(path)
