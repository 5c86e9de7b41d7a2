import socket


def connect() -> None:
    with socket.socket() as one, socket.create_server(("127.0.0.1", 0)) as server:
        one.connect(server.getsockname())
        peer, _ = server.accept()
        peer.close()


connect()
