import socket


def connect() -> None:
    socket.socket()  # LEAK socket: closed by the garbage collector


connect()
