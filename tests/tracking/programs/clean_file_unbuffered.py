def read() -> bytes:
    with open(__file__, "rb", buffering=0) as file:
        return file.read()


read()
