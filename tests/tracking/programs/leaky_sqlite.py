import sqlite3


def query() -> None:
    with sqlite3.connect(":memory:") as db:  # LEAK connection: closed by the garbage collector
        db.execute("select 1")


query()
