import os

import httpx

client = httpx.Client(trust_env=False)  # LEAK client: never closed
print(client.get(os.environ["HTTP_URL"]).status_code)
client.close()  # CLEAN
