import os

import sqlalchemy

url = os.environ["POSTGRES_URL"].replace("postgresql:", "postgresql+psycopg:")
engine = sqlalchemy.create_engine(url)
connection = engine.connect()  # LEAK connection: never closed
print(connection.execute(sqlalchemy.text("select 1")).scalar())
connection.close()  # CLEAN
engine.dispose()
