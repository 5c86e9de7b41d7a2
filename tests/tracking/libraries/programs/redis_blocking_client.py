import os

import redis

client = redis.Redis(port=int(os.environ["REDIS_PORT"]))  # LEAK client: never closed
print(client.ping())
client.close()  # CLEAN
