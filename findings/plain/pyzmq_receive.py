"""pyzmq: `recv` that is cancelled as a message comes loses the message."""

import asyncio
import sys

import zmq.asyncio


async def main() -> bool:
    context = zmq.asyncio.Context()
    sender, receiver = context.socket(zmq.PUSH), context.socket(zmq.PULL)
    port = receiver.bind_to_random_port("tcp://127.0.0.1")
    sender.connect(f"tcp://127.0.0.1:{port}")
    lost = 0
    for number in range(20):
        receiving = receiver.recv()  # a future
        task = asyncio.create_task(wait(receiving))
        receiving.add_done_callback(lambda future, task=task: future.cancelled() or task.cancel())
        await asyncio.sleep(0.01)
        await sender.send(b"%d" % number)
        await asyncio.wait({task})
        lost += not await receiver.poll(100)
        while await receiver.poll(0):
            await receiver.recv()
    print(f"cancelled in the turn in which a message came: {lost} of 20 lost")
    context.destroy(linger=0)
    return lost > 0


async def wait(future: asyncio.Future[bytes]) -> bytes:
    return await future


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
