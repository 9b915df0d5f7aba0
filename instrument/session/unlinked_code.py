"""Unlinked code for originals: from the cache, or rewritten and put there.

An original comes in, with all code that is nested in it (`nested_code`). Unlinked code goes out, with the packed infos
that recovery needs. Code that cannot be rewritten goes out as a `RefusedCode`.
"""

from __future__ import annotations

from time import thread_time

from instrument.decode.executors import uses_any_name
from instrument.decode.versions import SUPPORTED
from instrument.flow import placement_names
from instrument.guest.messages import say_once, text_of
from instrument.guest.program_errors import belongs_to_program, comes_from_program
from instrument.link.cache import FROM_EXEC, Batch, key_of, module_of, open_cache
from instrument.link.exec_free import ExecFreeModules
from instrument.link.unlinked_values import RefusedCode, nested_code, take_apart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    from instrument.link.cache import Cache, CachedModule
    from instrument.link.module_import import ModuleImport
    from instrument.link.unlinked_values import UnlinkedTree
    from instrument.rewrite.unlinked import Unlinked


#: The shelf of the code of frozen modules that executes code of others: each start needs all of it, and no more.
_SHELF_OF_FROZEN = "frozen modules"


class UnlinkedCode:
    """Unlinked code of one *placement*.

    *not_measured* gets the reason, by file name, if code of the program forbids the work. `seconds` is the CPU time
    that rewriting took so far.
    """

    def __init__(self, placement: str, not_measured: dict[str, str]) -> None:
        self.seconds = 0.0
        self._placement = placement
        self._counts = placement in placement_names.PLACEMENTS
        self._not_measured = not_measured
        self._cache: Cache | None = None
        self._exec_code: Batch | None = None
        self._exec_free_modules: ExecFreeModules | None = None

    def of_exec_code(self, tree: list[CodeType], file: str | None) -> UnlinkedTree:
        """Return unlinked code for *tree*, exec'd code that runs in a module with this `__file__`."""
        if self._exec_code is None:
            self._exec_code = Batch(self.cache())
        return self._cached_or_rewritten(tree, self._exec_code, f"{FROM_EXEC}{file}")

    def of_existing_code(self, tree: list[CodeType], batch: Batch, aliases: frozenset[str]) -> UnlinkedTree:
        """Return unlinked code for *tree*, the code of an existing function.

        *aliases* are the module's names for executors. The cache, by way of *batch*, serves code that uses none of
        them: other processes are likely to have it, too.
        """
        original = tree[-1]
        if aliases and uses_any_name(original, aliases):
            return self._rewrite(tree, aliases)
        shelf = original.co_filename
        if self._placement == placement_names.NOTHING and shelf.startswith("<frozen "):
            shelf = _SHELF_OF_FROZEN
        return self._cached_or_rewritten(tree, batch, shelf)

    def of_module(self, tree: list[CodeType], module_import: ModuleImport) -> UnlinkedTree:
        """Return unlinked code for *tree*, the code of the module of *module_import*."""
        unlinked, _ = self._stored_module(tree, module_import)
        return unlinked

    def _stored_module(self, tree: list[CodeType], module_import: ModuleImport) -> tuple[UnlinkedTree, bool]:
        """Return unlinked code for *tree*, the code of the module of *module_import*, and whether the cache has it."""
        batch = Batch(self.cache())
        bytecode = module_import.bytecode if self._placement not in placement_names.CALLING else None
        unlinked = batch.get(tree, key=_key(tree, module_import))
        is_stored = unlinked is not None
        if unlinked is None:
            unlinked = self._rewrite(tree)
            if bytecode is None:
                batch.put(tree, unlinked)
                is_stored = batch.flush()
        if bytecode is not None:
            module = module_of(unlinked, tree[-1].co_filename)
            is_stored = module is not None and self._store_module(module, module_import, bytecode)
        return unlinked, is_stored

    def _store_module(self, module: CachedModule, module_import: ModuleImport, bytecode: memoryview) -> bool:
        """Store *module* by the *bytecode* of its import; return whether that was possible."""
        path, stamp, key = module_import.path, module_import.stamp, module_import.key
        _, index, _ = module
        module_import.source_version = version = self._source_version(module_import, index.file_name)
        return self.cache().store_module(path, bytecode, stamp, key, module, version)

    def _source_version(self, module_import: ModuleImport, file_name: str) -> str | None:
        """Return the version of the source *file_name* of *module_import*; None if it is uncertain, or not needed."""
        return module_import.source(file_name).known_version() if self._counts else None

    def module_by_content(self, tree: list[CodeType], module_import: ModuleImport) -> CachedModule | None:
        """Return the unlinked code that the cache has for the content of *tree*; None if it has none.

        *tree* is the code of the module of *module_import*. It may come from an archive, or have had another bytecode
        file before its source got another time. If it has a bytecode file, later imports find the code by that.
        """
        key = _key(tree, module_import)
        if self._placement in placement_names.CALLING or not key:
            return None
        file = dict.get(module_import.namespace, "__file__")
        path = module_import.path or (file if type(file) is str else "")
        module = self.cache().module_by_content(key, path, tree[-1].co_filename)
        if module is not None and module_import.bytecode is not None:
            self._store_module(module, module_import, module_import.bytecode)
        return module

    def cached_module(self, module_import: ModuleImport) -> CachedModule | None:
        """Return the entry of the cache for the bytecode of *module_import*; None if there is none.

        The bytecode is looked up by content hash if it was read, otherwise by the file's stamp.
        """
        if self._placement in placement_names.CALLING:
            return None
        if module_import.bytecode is None and module_import.stamp is None:
            module_import.predict_bytecode()
            if module_import.stamp is None:
                return None
        found = self.cache().module(
            *(module_import.path, module_import.bytecode, module_import.stamp),
            lambda file_name: self._source_version(module_import, file_name),
        )
        if found is None:
            return None
        module, module_import.source_version = found
        return module

    def cache_module(self, code: CodeType, module_import: ModuleImport) -> tuple[bool, str]:
        """Put unlinked code for *code*, of the module of *module_import*, into the cache.

        A process that imports the module looks it up there (`Session.instrument_module`). Return whether the cache has
        it now, and the reason why a part of *code* cannot be rewritten, or "".
        """
        if not SUPPORTED:
            return False, "this release does not know this Python"
        (unlinked_codes, _), is_stored = self._stored_module(nested_code(code), module_import)
        for unlinked in unlinked_codes:
            if isinstance(unlinked, RefusedCode):
                return False, f"{unlinked.code.co_qualname}: {unlinked.reason}"
        return is_stored, ""

    def exec_free_modules(self) -> ExecFreeModules:
        """Return the record of exec-free modules."""
        if self._exec_free_modules is None:
            self._exec_free_modules = ExecFreeModules(self.cache())
        return self._exec_free_modules

    def cache(self) -> Cache:
        """Return the cache for this placement."""
        if self._cache is None:
            self._cache = open_cache(self._placement)
        return self._cache

    def save(self) -> None:
        """Save rewritten exec'd code and the record of exec-free modules to the cache."""
        if self._exec_code is not None:
            self._exec_code.flush()
            self._exec_code = None
        if self._exec_free_modules is not None:
            self._exec_free_modules.save_cache()

    def _cached_or_rewritten(self, tree: list[CodeType], batch: Batch, shelf: str) -> UnlinkedTree:
        unlinked = batch.get(tree, shelf)
        if unlinked is None:
            unlinked = self._rewrite(tree)
            batch.put(tree, unlinked, shelf)
        return unlinked

    def _rewrite(self, tree: list[CodeType], aliases: frozenset[str] = frozenset()) -> UnlinkedTree:
        """Return unlinked code for *tree*; *aliases* are the module's names for executors."""
        began = thread_time()
        from instrument.decode.exec_calls import executor_aliases_in
        from instrument.flow import placement
        from instrument.rewrite import rewriter

        aliases |= executor_aliases_in(tree)
        rewritten: list[tuple[CodeType, Unlinked | str]] = []
        for code in tree:
            try:
                flow = placement.graph_of(code, self._placement)
                rewritten.append((code, rewriter.rewrite(flow, placement.plan(flow, self._placement, aliases))))
            except BaseException as error:
                if belongs_to_program(error):
                    raise
                if not isinstance(error, Exception) or comes_from_program(error):  # say it once, not for each file
                    self._not_measured.setdefault(code.co_filename, f"{code.co_qualname}: {text_of(error)}")
                    say_once(f"not all is counted in this process: {text_of(error)}")
                rewritten.append((code, str(error)))
        unlinked_tree = take_apart(rewritten)
        self.seconds += thread_time() - began
        return unlinked_tree


def _key(tree: list[CodeType], module_import: ModuleImport) -> bytes:
    """Return the key of the content of *tree*, the code of the module of *module_import*; empty if it has none."""
    if not module_import.key:
        try:
            module_import.key = key_of(tree)
        except ValueError:
            pass
    return module_import.key
