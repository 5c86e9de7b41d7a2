import os

import sqlalchemy
from sqlalchemy.orm import Session

url = os.environ["POSTGRES_URL"].replace("postgresql:", "postgresql+psycopg:")
engine = sqlalchemy.create_engine(url)
session = Session(engine)  # LEAK session: never closed
print(session.execute(sqlalchemy.text("select 1")).scalar())
session.close()  # CLEAN
engine.dispose()
