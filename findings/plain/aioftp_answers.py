"""aioftp: after a command that was cancelled, later commands get the answers of earlier ones."""

import asyncio
import sys

import aioftp


async def refused_if_cancelled_after(turns: int) -> bool:
    server = aioftp.Server()
    await server.start("127.0.0.1", 0)
    client = aioftp.Client()
    await client.connect(*server.server.sockets[0].getsockname())
    await client.login()
    task = asyncio.create_task(client.get_current_directory())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    try:
        await client.change_directory("there-is-no-such-folder")
        return False
    except aioftp.StatusCodeError:
        return True
    finally:
        client.close()
        await server.close()


left = [turns for turns in range(8) if not asyncio.run(refused_if_cancelled_after(turns))]
print(f"PWD was cancelled after {left} turns of the loop; then CWD to a missing folder succeeds")
print("reproduces" if left else "does not reproduce")
sys.exit(bool(left))
