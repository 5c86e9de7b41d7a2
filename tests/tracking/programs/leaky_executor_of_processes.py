from concurrent.futures import ProcessPoolExecutor

pool = ProcessPoolExecutor()  # LEAK executor: never closed
