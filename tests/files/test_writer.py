"""Writing behind the caller's back: whoever writes comes by often enough."""

from __future__ import annotations

from pathlib import Path

from withal import files
from withal.files.objects.writer import BATCH


async def test_there_is_never_room_for_more_than_a_batch(tmp_path: Path) -> None:
    async with files.open(tmp_path / "file", "wb") as file:
        room = []
        for _ in range(20_000):
            await file.write(b"x")
            room.append(file._writer.room)
    assert max(room) <= BATCH
    assert (tmp_path / "file").read_bytes() == b"x" * 20_000
