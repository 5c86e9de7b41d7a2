import logging
import os
import tempfile
from http.server import BaseHTTPRequestHandler, HTTPServer

with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
    pass
path = os.path.join(tempfile.gettempdir(), f"withal-{os.getpid()}.log")
logging.basicConfig(filename=path)
logging.warning("written by a handler that logging itself closes at exit")
os.unlink(path)
