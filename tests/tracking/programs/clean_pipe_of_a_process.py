import subprocess

process = subprocess.Popen(["true"], stdout=subprocess.PIPE)
process.communicate()
