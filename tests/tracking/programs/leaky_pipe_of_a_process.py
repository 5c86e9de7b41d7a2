import subprocess

process = subprocess.Popen(["true"], stdout=subprocess.PIPE)  # LEAK pipe: never closed
process.wait()
