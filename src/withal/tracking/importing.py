"""Importing: compiles the program's modules with watched ``with`` statements, and applies each
adapter when its module has been imported."""

from __future__ import annotations

import importlib.util
import marshal
import os
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any, final
from zipimport import zipimporter

from withal.tracking.program import PROGRAM, TrackedProgram
from withal.tracking.rewriting import Calls, compile_watched, with_calls

_CACHE_TAG = "withal2"
"""A part of the name of cached bytecode; change it whenever the output of `rewriting` changes."""


@final
class WatchedLoader(SourceFileLoader):
    """Loads a module of the program, with watched ``with`` statements.

    Args:
        calls: the functions that are called around each statement.
    """

    def __init__(self, fullname: str, path: str, calls: Calls) -> None:
        super().__init__(fullname, path)
        self._calls = calls

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the module; from the cache, if the source has not changed."""
        path = self.get_filename(fullname)
        stats = self.path_stats(path)
        header = importlib.util.MAGIC_NUMBER + b"".join(
            (int(each) & 0xFFFFFFFF).to_bytes(4, "little")
            for each in (0, stats["mtime"], stats["size"])
        )
        cached = importlib.util.cache_from_source(path, optimization=_CACHE_TAG)
        try:
            data = self.get_data(cached)
            if data.startswith(header):
                code = marshal.loads(data[len(header) :])
                if isinstance(code, CodeType) and code.co_filename == path:
                    return with_calls(code, self._calls)
        except (OSError, EOFError, ValueError, TypeError):
            pass  # compile it below
        code = compile_watched(self.get_data(path), path)
        if not sys.dont_write_bytecode:
            self._cache_bytecode(path, cached, bytearray(header + marshal.dumps(code)))  # type: ignore[attr-defined]
        return with_calls(code, self._calls)


@final
class WatchedZipLoader(zipimporter):
    """Loads a module of the program from a zip archive, with watched ``with`` statements.

    Args:
        loader: the loader of the archive.
        calls: the functions that are called around each statement.
    """

    def __init__(self, loader: zipimporter, calls: Calls) -> None:
        vars(self).update(vars(loader))
        self._calls = calls

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the module; not watched if the archive has no source of it."""
        source = self.get_source(fullname)
        if source is None:
            return super().get_code(fullname)
        path = self.get_filename(fullname)
        return with_calls(compile_watched(source, path), self._calls)


class _Adapting:
    """A loader that applies an adapter when a module has been executed."""

    def __init__(self, loader: Any, then: Callable[[], None]) -> None:
        self._loader = loader
        self._then = then

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._then()

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)


@final
class ImportFinder(MetaPathFinder):
    """Finds modules through the other finders, and replaces their loaders.

    Args:
        program: determines which modules are watched.
        calls: the functions that are called around their ``with`` statements.
        adapters: by name of a module, the function to call when it has been imported.
    """

    def __init__(
        self, program: TrackedProgram, calls: Calls, adapters: dict[str, Callable[[], None]]
    ) -> None:
        self._program = program
        self._calls = calls
        self._adapters = adapters

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the specification of another finder, with a loader of this module."""
        adapter = self._adapters.get(fullname)
        spec = self._found(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        watched = self._watched(spec.loader, spec.origin)
        if watched is not None:
            spec.loader = watched
        if adapter is not None:
            spec.loader = _Adapting(spec.loader, adapter)  # type: ignore[assignment]
        return spec

    def _watched(self, loader: object, origin: str | None) -> Any:
        """Return a loader that watches a module, or None if the module is not the program's."""
        if origin is None or self._program.owner(os.path.abspath(origin)) is not PROGRAM:
            return None
        if type(loader) is SourceFileLoader:
            return WatchedLoader(loader.name, origin, self._calls)
        if type(loader) is zipimporter:
            return WatchedZipLoader(loader, self._calls)
        return None

    def _found(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        after = False
        for finder in list(sys.meta_path):
            if finder is self:
                after = True
            elif after and hasattr(finder, "find_spec"):
                spec = finder.find_spec(fullname, path, target)
                if spec is not None:
                    return spec
        return None
