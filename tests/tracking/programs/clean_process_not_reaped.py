import subprocess

process = subprocess.Popen(["true"])
process.wait()
subprocess.run(["true"], capture_output=True)
with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat:
    cat.communicate(b"1")
