class Lamp:
    def __enter__(self) -> "Lamp":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Room:
    def __init__(self) -> None:
        self.lamp = Lamp()
        self.lamp.__enter__()

    def leave(self) -> None:
        self.lamp.__exit__(None, None, None)


room = Room()
room.leave()
with Lamp():
    pass
