"""Files: written whole or not at all, without blocking the event loop."""

from __future__ import annotations

from withal.files.part import PartFile, part_file

__all__ = ["PartFile", "part_file"]
