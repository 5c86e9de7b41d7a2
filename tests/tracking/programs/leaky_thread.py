import threading

event = threading.Event()
thread = threading.Thread(target=event.wait, daemon=True)
thread.start()  # LEAK thread: never closed
