import asyncio


async def main() -> None:
    await asyncio.get_running_loop().create_task(asyncio.sleep(0))


loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
