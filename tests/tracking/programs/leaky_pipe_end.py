import os

read, write = os.pipe()  # LEAK descriptor: never closed
os.close(read)
