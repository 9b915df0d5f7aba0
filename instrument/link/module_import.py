"""Describes one import of a module, from its first lookup to its live code.

A `ModuleImport` is made when the import system is about to execute a module. Instrumenters read it, and the cache
identifies the module's bytecode by it. It does so by content once the bytecode was read, before that by a stamp.
"""

from __future__ import annotations

import _frozen_importlib as _bootstrap
import _frozen_importlib_external as _bootstrap_external
from _operator import attrgetter, is_
from itertools import chain
from sys import flags  # held: the program may replace it
from types import FunctionType

from instrument.guest.own_builtins import functions_of
from instrument.link.source_versions import Source, absolute, look_at, source_of_import, stamp_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from instrument.link.source_versions import Stamp

    #: Returns the original code of a module; None if its loader has no code for it.
    Origin = Callable[[], CodeType | None]

_HEADER_SIZE = 16  # of a bytecode file: magic number, flags, and stamp or hash of the source


class ModuleImport:
    """One import of the module with *namespace*. *origin*, a function, returns its original code, from *loader*.

    - `code`: the live code, if the cache had it by the identity of the file; else None.
    - `bytecode`: the marshalled code that was read from a bytecode file; None before that, or if there is no such file.
    - `header`: the first 16 bytes of the bytecode file, empty if unknown. `path`: the source file, empty if unknown.
    - `identity`: identity of the module file before it was read; None if the module has no file.
    - `stamp`: stamp of the bytecode file; None if nobody has asked for it, or if it is not certain.
    - `key`: the key of the content of the code (`link.cache.key_of`); empty if it is unknown, or if there is none.
    - `source_version`: version of the source file, if the cache has it; else None.
    - `twin`: the twin that the cache had for the bytecode, if the module is measured; else None. `group`: its code
      group.
    - `was_compiled`: whether the interpreter has compiled the code just now, from source.
    - `needs_no_rewrite`: whether code with this stamp is known to run as it is.
    """

    # Of the class, and not set for each import: few imports set more than three of them.
    code: CodeType | None = None
    twin: CodeType | None = None
    group: Any = None  # of a class whose module imports this one
    bytecode: memoryview | None = None
    header = key = b""
    path = ""
    stamp: Stamp | None = None
    source_version: str | None = None
    needs_no_rewrite = was_compiled = False

    def __init__(self, namespace: dict[str, object], origin: Origin, loader: object = None) -> None:
        self.namespace = namespace
        self.origin = origin
        self._loader: Any = loader
        file = dict.get(namespace, "__file__")  # the class of the namespace may be the program's own
        self.identity, self._expected_header = look_at(file) if type(file) is str else (None, b"")

    def predict_bytecode(self) -> None:
        """Set `header`, `path` and `stamp` to those of the bytecode that the loader will read, if that is certain.

        It is certain for importlib's own loader of source files, unless the program has replaced a method of it.
        """
        file = dict.get(self.namespace, "__file__")
        spec: Any = dict.get(self.namespace, "__spec__")
        if (
            self._expected_header
            and type(spec) is _ModuleSpec
            and type(cached := _bytecode_path(spec)) is str
            and type(self._loader) is _SourceFileLoader
            and self._loader.__dict__ == {"name": dict.get(self.namespace, "__name__"), "path": file}
            and _are_of_importlib(_methods_of(_SourceFileLoader))
            and not flags.verbose
        ):
            assert type(file) is str
            self.header, self.path = self._expected_header, file
            self.stamp = stamp_of(self.header, cached)

    def note_bytecode(self, data: memoryview, bytecode_path: str, source_path: str) -> None:
        """Note that *data* was read from the bytecode file at *bytecode_path*. Drop a stamp that it disproves."""
        self.bytecode, self.path = data, source_path
        whole: object = data.obj
        self.header = whole[:_HEADER_SIZE] if isinstance(whole, bytes) else b""
        if self.stamp is not None and self.stamp != stamp_of(self.header, bytecode_path):
            self.stamp = None  # the stamp is of another file, or of one that was replaced meanwhile

    def source(self, file_name: str) -> Source:
        """Return the Source of the module, whose code names the source file *file_name*."""
        path = absolute(file_name)
        if self.source_version is not None:
            return Source(path, self.identity, self.header, True, self.source_version)
        return source_of_import(path, self.identity, self.header)

    def is_known_to_need_no_rewrite(self) -> bool:
        """Return whether the bytecode that was read is known to run as it is."""
        return self.needs_no_rewrite and self.stamp is not None


_SourceFileLoader: Any = _bootstrap_external.SourceFileLoader
_ModuleSpec: Any = _bootstrap.ModuleSpec
#: A copy of importlib's function with this package's builtins: the program may replace functions that it calls.
_get_cached: Any = functions_of(_bootstrap_external)["_get_cached"]
_IMPORTLIB_FILE = _bootstrap_external._LoaderBasics.exec_module.__code__.co_filename


def _bytecode_path(spec: Any) -> object:
    """Return `spec.cached`, the path of the bytecode file, without the program's builtins, which the property calls."""
    if spec._cached is None and spec._set_fileattr and type(spec.origin) is str:
        path: object = _get_cached(spec.origin)
        return path
    return spec._cached


#: The methods of a loader that read and examine the bytecode file.
_methods_of = attrgetter("get_code", "get_data", "path_stats")
_code_of: Callable[[Any], object] = attrgetter("__code__")
#: Methods that were importlib's own at the last time, then their code objects.
_known: list[object] = [None] * 6


def _are_of_importlib(methods: tuple[object, ...]) -> bool:
    """Return whether *methods*, those of a loader, are importlib's own."""
    if all(map(is_, chain(methods, map(_code_of, methods)), _known)):
        return True
    for method in methods:
        if type(method) is not FunctionType or method.__code__.co_filename != _IMPORTLIB_FILE:
            return False
    _known[:] = *methods, *map(_code_of, methods)
    return True
