lines = []
for _ in range(7):
    lines.append(open(__file__).readline())  # LEAK file x7: closed by the garbage collector
