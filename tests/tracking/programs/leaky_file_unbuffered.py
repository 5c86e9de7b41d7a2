def read() -> bytes:
    return open(__file__, "rb", buffering=0).read()  # LEAK file: closed by the garbage collector


read()
