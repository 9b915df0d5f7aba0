"""Record which modules are exec-free: their code cannot call an executor, so it runs unchanged if it is not measured.

The code of a module that is not measured comes in. Whether it must be rewritten all the same, to intercept the code
that it executes, goes out. To search the code of a module takes a tenth of the time of its import, and most modules are
exec-free. So those are recorded in the cache, by the stamp of their bytecode file. As long as the file is unchanged,
the code is not searched again.
"""

from __future__ import annotations

from instrument.decode.executors import may_execute_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    from instrument.link.cache import Cache
    from instrument.link.module_import import ModuleImport
    from instrument.link.source_versions import Stamp

#: The name of the entry in the cache: a dict from source paths to stamps.
_ENTRY = "exec-free modules"
#: An entry with more modules than this is replaced by one with those of this process.
_MOST_MODULES = 20_000


class ExecFreeModules:
    """The exec-free modules that the *cache* has, and others that this process has found."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._stamps: dict[str, Stamp] = cache.load(_ENTRY) or {}
        self._new_stamps: dict[str, Stamp] = {}

    def may_execute_code_in(self, code: CodeType, module_import: ModuleImport | None) -> bool:
        """Return whether *code* may call an executor.

        *module_import* is the import whose module's code it is, None for other code.
        """
        if module_import is not None and self.is_exec_free(module_import):
            return False
        may_execute = may_execute_code(code)
        if not may_execute and module_import is not None and module_import.stamp is not None:
            self._stamps[module_import.path] = self._new_stamps[module_import.path] = module_import.stamp
        return may_execute

    def is_exec_free(self, module_import: ModuleImport) -> bool:
        """Return whether the imported module is recorded as exec-free, with the bytecode file that it has now."""
        return module_import.stamp is not None and self._stamps.get(module_import.path) == module_import.stamp

    def save_cache(self) -> None:
        """Add the modules that this process has found to the cache."""
        if self._new_stamps:
            new, self._new_stamps = self._new_stamps, {}
            stored = self._cache.load(_ENTRY) or {}  # other processes may have added some meanwhile
            self._cache.store(_ENTRY, {**stored, **new} if len(stored) < _MOST_MODULES else new)
