"""What is compared: a library, and one way to use it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

from benchmarks.closing.scenario import Services


class Use(Protocol):
    """Opens the three resources of `services`, awaits `services.body()`, and closes them."""

    async def __call__(self, services: Services, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to use a library; `distribution` is None for the standard library."""

    name: str
    distribution: str | None
    use: Use

    @property
    def version(self) -> str:
        if self.distribution is None:
            return f"Python {platform.python_version()}"
        return version(self.distribution)
