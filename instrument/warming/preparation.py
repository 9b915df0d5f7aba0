"""Rewrites the code of one file and stores it in the cache, for a later import.

Input: the path of a source or bytecode file, and a placement. Output: an `Outcome`; the cache has the rewritten code.

Problem: the cache finds a module by its path and by the bytecode file that the interpreter has of it.
Solution: load each file by the import system's own loader, with a hook in the place of an instrumenter. The loader
finds, checks or writes the file in `__pycache__` as an import does, under the same -O, -B, PYTHONPYCACHEPREFIX and
--check-hash-based-pycs. If it can write none, a later import compiles, and the cache finds the code by its content.
Alternative: compile the source here. Then the first import would not find the code, because its stamp is unknown.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib.machinery import BYTECODE_SUFFIXES, SOURCE_SUFFIXES, SourceFileLoader, SourcelessFileLoader
from importlib.util import spec_from_file_location

from instrument.hooks import imports
from instrument.link.cache import Batch
from instrument.link.module_import import ModuleImport
from instrument.link.unlinked_values import nested_code
from instrument.session.session import session
from instrument.warming.outcomes import Outcome, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from instrument.link.cache import Cache

#: The code of a module whose import is cut short.
_EMPTY_CODE = compile("", "<empty>", "exec")


def prepare_file(path: str, placement: str) -> Outcome:
    """Store the code that an import of the file at *path* will look for; return the outcome."""
    loader: Any  # typeshed has other base classes for these loaders on 3.15
    base, extension = os.path.splitext(os.path.basename(path))
    if extension in SOURCE_SUFFIXES:
        loader = SourceFileLoader(base, path)
    elif extension in BYTECODE_SUFFIXES:
        loader = SourcelessFileLoader(base, path)
    else:
        reason = f"is no Python file: its name does not end in {' or '.join(SOURCE_SUFFIXES)}"
        return Outcome(path, Result.FAILED, reason)
    storer = _Storer(path, placement)
    try:
        # The first load may write a bytecode file, and the second load finds it.
        for storer.accepts_compiled in (True,) if sys.dont_write_bytecode else (False, True):
            imports.install(storer)
            try:
                spec = spec_from_file_location(base, path, loader=loader)
                names: dict[str, object] = {"__name__": base, "__file__": path, "__spec__": spec}
                imports.module_code(ModuleImport(names, partial(loader.get_code, base), loader))
            finally:
                imports.uninstall(storer)
            if storer.outcome is not None:
                return storer.outcome
    except Exception as error:
        return Outcome(path, Result.FAILED, f"{type(error).__name__}: {error}")
    return Outcome(path, Result.FAILED, "its loader gave no code")


class _Storer:
    """Takes the place of an instrumenter and stores the code of one file instead of instrumenting it.

    `outcome` is None until code was seen. With `accepts_compiled`, code without a bytecode file is stored, too.
    """

    measures_texts = False

    def __init__(self, path: str, placement: str) -> None:
        self._path = path
        self._unlinked_code = session(placement).unlinked_code
        self.outcome: Outcome | None = None
        self.accepts_compiled = False

    def instrument(
        self, code: CodeType, namespace: dict[str, object], module_import: ModuleImport | None = None
    ) -> CodeType:
        """Store the rewritten *code* of an import, and return *code* itself."""
        if module_import is None or self.outcome is not None:
            return code
        if module_import.bytecode is not None or self.accepts_compiled:
            self.outcome = self._store(code, module_import)
        return code

    def _store(self, code: CodeType, module_import: ModuleImport) -> Outcome:
        cache = self._unlinked_code.cache()
        tree = nested_code(code)
        # `code_for_cached_bytecode` cannot find code that was compiled: the cache has only its content.
        is_ready = self._unlinked_code.module_by_content(tree, module_import) is not None or (
            module_import.bytecode is None and Batch(cache).get(tree, key=module_import.key) is not None
        )
        if is_ready:
            return Outcome(self._path, Result.READY, key=module_import.key)
        is_stored, refusal = self._unlinked_code.cache_module(code, module_import)
        if refusal:
            return Outcome(self._path, Result.REFUSED, f"not rewritten: {refusal}")
        if is_stored:
            return Outcome(self._path, Result.PREPARED, key=module_import.key, n_lines=last_line_of(tree))
        return Outcome(self._path, Result.FAILED, f"cannot be written to {cache.folder}; is the disk full?")

    def code_for_cached_bytecode(self, module_import: ModuleImport) -> CodeType | None:
        """Return empty code if the cache has the module already, which ends its import; else None."""
        if self._unlinked_code.cached_module(module_import) is not None:
            self.outcome = Outcome(self._path, Result.READY)
            return _EMPTY_CODE
        return None

    def original_of(self, code: CodeType) -> CodeType:
        """Return *code*: this hook changes none."""
        return code

    def cache(self) -> Cache:
        """Return the cache that the code is stored in."""
        return self._unlinked_code.cache()


def last_line_of(tree: list[CodeType]) -> int:
    """Return the number of the last line that any code object of *tree* has; 0 if none has a line."""
    return max((line or 0 for code in tree for _, _, line in code.co_lines()), default=0)
