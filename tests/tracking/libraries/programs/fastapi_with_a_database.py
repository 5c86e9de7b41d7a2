import asyncio
import socket
from contextlib import asynccontextmanager

import fastapi
import httpx
import uvicorn
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


@asynccontextmanager
async def lifespan(app):
    engine = create_async_engine("sqlite+aiosqlite://")  # LEAK engine
    async with engine.begin() as connection:
        await connection.execute(text("create table notes (id integer primary key, body text)"))
    app.state.engine = engine
    yield
    print("shutting down", flush=True)
    await engine.dispose()  # CLEAN


app = fastapi.FastAPI(lifespan=lifespan)


@app.post("/notes")
async def add(body: str):
    async with app.state.engine.begin() as connection:
        await connection.execute(text("insert into notes (body) values (:body)"), {"body": body})
    return {"added": body}


@app.get("/notes")
async def all_notes():
    async with app.state.engine.connect() as connection:
        return [row.body for row in await connection.execute(text("select body from notes"))]


@app.get("/blocking")
def blocking():
    return "in a thread"


async def main():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        serving = asyncio.create_task(server.serve([listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            for body in "first", "second":
                print((await client.post("/notes", params={"body": body})).json())
            print((await client.get("/notes")).json(), (await client.get("/blocking")).json())
            print((await client.get("/nowhere")).status_code)
        server.should_exit = True
        await serving


asyncio.run(main())
import os, sys  # noqa: E402

sys.stdout.flush()
os._exit(0)  # the thread of a connection that is not closed would not end
