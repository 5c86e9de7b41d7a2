import tempfile


def use() -> str:
    return tempfile.TemporaryDirectory().name  # LEAK temporary folder: closed by the garbage collector


use()
