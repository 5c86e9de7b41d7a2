kept = open(__file__)  # LEAK file: never closed
kept.readline()
