import os

with open(__file__) as kept:
    kept.read()
os._exit(0)
