import subprocess


def start() -> None:
    subprocess.Popen(["true"]).wait()


start()
