import os

number = os.open(__file__, os.O_RDONLY)
os.read(number, 10)
os.close(number)
other = os.open(__file__, os.O_RDONLY)
with os.fdopen(other) as file:
    file.read()
