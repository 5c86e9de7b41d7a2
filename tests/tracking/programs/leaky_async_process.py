import asyncio

kept: list[object] = []


async def main() -> None:
    process = await asyncio.create_subprocess_exec("sleep", "1")  # LEAK process
    kept.append(process)


asyncio.run(main())
