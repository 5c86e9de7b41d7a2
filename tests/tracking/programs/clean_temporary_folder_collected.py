import tempfile


def use() -> str:
    with tempfile.TemporaryDirectory() as folder:
        return folder


use()
