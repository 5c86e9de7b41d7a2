import asyncio


async def main() -> None:
    loop = asyncio.get_running_loop()
    make = asyncio.DatagramProtocol
    transport, _ = await loop.create_datagram_endpoint(make, ("127.0.0.1", 0))
    transport.close()


asyncio.run(main())
