import anyio

kept = []


async def main():
    send, receive = anyio.create_memory_object_stream[int](1)  # LEAK memory stream
    kept.append(send)
    async with receive:
        await send.send(1)
        print(await receive.receive())
    send.close()  # CLEAN


anyio.run(main)
