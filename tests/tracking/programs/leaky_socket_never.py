import socket

pair = socket.socketpair()  # LEAK socket x2: never closed
