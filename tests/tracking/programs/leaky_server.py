import asyncio

kept: list[object] = []


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)  # LEAK server
    kept.append(server)


asyncio.run(main())
