import threading

lock = threading.Lock()
condition = threading.Condition()


def use():
    if lock.acquire(timeout=1):
        try:
            print("mine")
        finally:
            lock.release()


use()
with lock:
    print(lock.acquire(False))
lock.acquire()
free = lock.release
free()
semaphore = threading.Semaphore(2)
semaphore.acquire()
condition.acquire()
condition.release()
