import threading

lock = threading.Lock()


def use():
    if lock.acquire(timeout=1):  # LEAK lock: never closed
        print("mine")


use()
print(lock.acquire(False))
