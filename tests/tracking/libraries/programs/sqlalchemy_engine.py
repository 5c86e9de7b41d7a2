import os

import sqlalchemy

url = os.environ["POSTGRES_URL"].replace("postgresql:", "postgresql+psycopg:")
engine = sqlalchemy.create_engine(url)  # LEAK engine: never closed
with engine.connect() as connection:
    print(connection.execute(sqlalchemy.text("select 1")).scalar())
engine.dispose()  # CLEAN
