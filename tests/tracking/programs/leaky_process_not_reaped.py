import subprocess
import time

process = subprocess.Popen(["true"])  # LEAK process: never closed
time.sleep(0.1)
