import os

kept = open(__file__)  # LEAK file: never closed
os._exit(0)
