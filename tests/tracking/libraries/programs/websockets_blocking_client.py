import os

from websockets.sync.client import connect

with connect(os.environ["WEBSOCKET_URL"], proxy=None) as other:
    other.send("hello")
    print(other.recv())
connecting = connect(os.environ["WEBSOCKET_URL"], proxy=None)  # LEAK websocket: never closed
connection = connecting.__enter__()
connection.send("hello")
print(connection.recv(), flush=True)
connecting.__exit__(None, None, None)  # CLEAN
os._exit(0)  # there is a thread for each connection
