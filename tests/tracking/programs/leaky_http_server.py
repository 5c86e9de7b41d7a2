from http.server import BaseHTTPRequestHandler, HTTPServer

server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # LEAK socket: never closed
