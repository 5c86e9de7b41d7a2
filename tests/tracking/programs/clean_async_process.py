import asyncio


async def main() -> None:
    process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    await process.communicate(b"1")
    other = await asyncio.create_subprocess_shell("true")
    await other.wait()


asyncio.run(main())
