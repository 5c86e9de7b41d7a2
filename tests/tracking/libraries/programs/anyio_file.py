import anyio

kept = []


async def main():
    file = await anyio.open_file(__file__)  # LEAK file
    kept.append(file)
    print(await file.readline())
    await file.aclose()  # CLEAN


anyio.run(main)
