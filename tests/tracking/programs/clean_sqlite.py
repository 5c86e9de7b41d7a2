import sqlite3
from contextlib import closing


def query() -> None:
    with closing(sqlite3.connect(":memory:")) as db, db:
        db.execute("select 1")


query()
