kept = open(__file__)
kept.readline()
kept.close()
