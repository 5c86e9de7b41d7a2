import os

import psycopg_pool

pool = psycopg_pool.ConnectionPool(os.environ["POSTGRES_URL"], min_size=1, open=True)  # LEAK pool
pool.wait()
with pool.connection() as connection:
    print(connection.execute("select 1").fetchone())
pool.close()  # CLEAN
