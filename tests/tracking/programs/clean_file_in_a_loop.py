from pathlib import Path

lines = []
for _ in range(7):
    lines.append(Path(__file__).read_text())
    with Path(__file__).open() as file:
        lines.append(file.readline())
