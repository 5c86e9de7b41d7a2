def read() -> str:
    return open(__file__).read()  # LEAK file: closed by the garbage collector


read()
