import subprocess
import time


def start() -> None:
    subprocess.Popen(["true"])  # LEAK process: closed by the garbage collector
    time.sleep(0.1)


start()
