import asyncio

kept: list[object] = []


async def main() -> None:
    loop = asyncio.get_running_loop()
    make = asyncio.DatagramProtocol
    pair = await loop.create_datagram_endpoint(make, ("127.0.0.1", 0))  # LEAK transport
    kept.append(pair)


asyncio.run(main())
