import os

import psycopg

connection = psycopg.connect(os.environ["POSTGRES_URL"])  # LEAK connection: never closed
print(connection.execute("select 1").fetchone())
connection.close()  # CLEAN
