from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor() as pool:
    pool.submit(print, 1).result()
other = ThreadPoolExecutor()
other.shutdown()
