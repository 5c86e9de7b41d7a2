import asyncio
import threading

event = threading.Event()
thread = threading.Thread(target=event.wait, daemon=True)
thread.start()
event.set()
thread.join()
asyncio.run(asyncio.to_thread(print, 1))
