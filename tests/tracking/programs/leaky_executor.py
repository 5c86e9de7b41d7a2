from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor()  # LEAK executor: never closed
pool.submit(print, 1).result()
