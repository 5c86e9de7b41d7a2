import anyio

kept = []


async def echo(stream):
    async with stream:
        await stream.send(await stream.receive())


async def main():
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, echo)
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            stream = await anyio.connect_tcp("127.0.0.1", port)  # LEAK socket
            kept.append(stream)
            await stream.send(b"hello")
            print(await stream.receive())
            await stream.aclose()  # CLEAN
            group.cancel_scope.cancel()


anyio.run(main)
