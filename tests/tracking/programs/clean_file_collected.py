def read() -> str:
    with open(__file__) as file:
        return file.read()


read()
