from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lamp() -> Iterator[None]:
    yield


def steps() -> Iterator[int]:
    with lamp():
        yield 1
        yield 2


found = steps()
next(found)
found.close()
