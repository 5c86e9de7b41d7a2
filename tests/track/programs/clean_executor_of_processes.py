from concurrent.futures import ProcessPoolExecutor

with ProcessPoolExecutor(1) as pool:
    print(pool.submit(abs, -1).result())
