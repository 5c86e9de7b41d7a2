import asyncio

loop = asyncio.new_event_loop()
loop.run_until_complete(asyncio.sleep(0))
loop.close()
with asyncio.Runner() as runner:
    runner.run(asyncio.sleep(0))
