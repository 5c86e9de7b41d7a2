"""All contenders of one adapter, as JSON: ``python -m benchmarks.closing.one withal``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from importlib import import_module

from benchmarks.closing.contender import Contender
from benchmarks.closing.measure import measure


def main(adapter: str) -> None:
    module = import_module(f"benchmarks.closing.adapters.{adapter}")
    contenders: tuple[Contender, ...] = module.CONTENDERS
    print(json.dumps([asdict(measure(each)) for each in contenders]))


if __name__ == "__main__":
    main(sys.argv[1])
