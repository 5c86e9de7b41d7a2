import asyncio

loop = asyncio.new_event_loop()  # LEAK event loop: never closed
loop.run_until_complete(asyncio.sleep(0))
