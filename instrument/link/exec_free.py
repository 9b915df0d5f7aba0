"""Which modules may hand code to the interpreter, remembered from process to process.

Modules that are not measured are asked, too: code that they execute may be measured. Few of them hand any over, and to
look through all code of one takes a tenth of what its import takes. So those that do not are noted in the cache, by the
stamp of their bytecode file: as long as it is the same file, unchanged, nobody has to look.
"""

from __future__ import annotations

from instrument.decode.exec_calls import may_execute_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    from instrument.link.cache import Cache
    from instrument.link.module_import import ModuleImport
    from instrument.link.source_versions import Stamp

_SHELF = "hand nothing over"
_MOST = 20_000


class ExecFreeModules:
    """What is known of modules; kept in *cache*."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._quiet: dict[str, Stamp] = cache.load(_SHELF) or {}
        self._new: dict[str, Stamp] = {}

    def may_execute_code_in(self, code: CodeType, module_import: ModuleImport | None) -> bool:
        """Return whether *code* may hand code over: that of the module that is *module_import*, or any if that is
        None.
        """
        if module_import is not None and self.is_exec_free(module_import):
            return False
        found = may_execute_code(code)
        if not found and module_import is not None and module_import.stamp is not None:
            self._quiet[module_import.path] = self._new[module_import.path] = module_import.stamp
        return found

    def is_exec_free(self, module_import: ModuleImport) -> bool:
        """Return whether the module that is *module_import* is known to hand no code over."""
        return module_import.stamp is not None and self._quiet.get(module_import.path) == module_import.stamp

    def save_cache(self) -> None:
        """Write what is new to the cache."""
        if self._new:
            new, self._new = self._new, {}
            known = self._cache.load(_SHELF) or {}  # others may have written meanwhile
            self._cache.store(_SHELF, {**known, **new} if len(known) < _MOST else new)
