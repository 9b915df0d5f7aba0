"""What is made live for readers that select code by module and file: the recorder, and `counting`.

Code comes in as it is imported, handed over, or found in functions that exist; what one of the readers selects goes out
live in the minimal placement, with a note of the module it runs in and the text it was compiled from. Of what none
selects, only code that may hand over code of others is rewritten, to do that.
"""

from __future__ import annotations

import sys
from time import time
from types import FunctionType, NoneType

from instrument.flow import placement
from instrument.hooks import bytecode_readers, imports
from instrument.link import source_versions
from instrument.session.session import (
    RecentCode,
    Session,
    bytecode_if_unmeasured,
    code_if_unmeasured,
    give_out,
    instrument_existing_functions,
    is_live,
    live_group,
    original_of,
    session,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Protocol

    from instrument.link.counters import CodeGroup
    from instrument.link.module_import import ModuleImport
    from instrument.link.source_versions import Source

    class Selects(Protocol):
        """Which code a reader wants."""

        def selects(self, name: str | None, file: str) -> bool: ...


class ScopedInstrumenter:
    """Makes live what any of the *scopes* selects, in one session for all of them."""

    def __init__(self) -> None:
        self.session: Session = session(placement.MINIMAL)
        self.scopes: list[Selects] = []
        #: Called when code was made live.
        self.on_live: Callable[[], None] | None = None
        #: Sources of code that was made live, whose texts are still to be read.
        self._unread: list[Source] = []
        #: How many sources are to be read; a function in C.
        self.n_unread = self._unread.__len__
        self._since = time()
        self._handed_over: dict[str, Source] = {}
        self._names: dict[str, str | None] = {}
        self._recent_code = RecentCode()
        #: Names of modules that `instrument_late_functions` has seen once, and twice, and how many there were.
        self._young: set[str] = set()
        self._grown: set[str] = set()
        self._n_modules = 0

    def begin(self, scope: Selects, lazily: bool) -> None:
        """From now on, make live what *scope* selects, functions that exist already included."""
        self.scopes.append(scope)
        self._recent_code.clear()
        instrument_existing_functions(self._choose, self._note, lazily)
        if len(self.scopes) == 1:
            imports.install(self, at_end=True)
            bytecode_readers.install(original_of, give_out)

    def end(self, scope: Selects) -> None:
        """Undo one `begin` of *scope*. What is live stays so, and costs next to nothing."""
        self.scopes.remove(scope)
        self._recent_code.clear()
        if not self.scopes:
            imports.uninstall(self)
            session(placement.NOTHING).restore_existing_functions()
        self.save_cache()

    def save_cache(self) -> None:
        """Write to the cache what the next process can use."""
        self.session.save_cache()
        session(placement.NOTHING).save_cache()

    def instrument_late_functions(self) -> None:
        """Make functions live of modules that C has compiled and executed since this was called before.

        The import system does not see those; uWSGI and mod_wsgi load their scripts so. What is in the midst of being
        executed is looked at once more.
        """
        modules = sys.modules
        if len(modules) == self._n_modules and not self._young:
            return
        self._n_modules = len(modules)
        young, self._young = self._young, set()
        found = False
        for name, module in list(modules.items()):
            if name in self._grown:
                continue
            if name in young:
                self._grown.add(name)
            else:
                self._young.add(name)
            names = getattr(module, "__dict__", None)
            if type(names) is dict and self.selects(names.get("__name__"), names.get("__file__"), ""):
                found = found or any(
                    type(value) is FunctionType and value.__globals__ is names and not is_live(value.__code__)
                    for value in list(names.values())
                )
        if found:
            instrument_existing_functions(self._choose, self._note, lazily=True)

    def selects(self, name: object, file: object, source: str) -> bool:
        """Return whether code of the file *source* is selected that runs in the module *name* of *file*."""
        if type(file) is not str or source.startswith("<"):
            return False
        name = name if type(name) is str else None
        for scope in self.scopes:  # noqa: SIM110 - a generator would be one more frame for each module
            if scope.selects(name, file):
                return True
        return False

    def name_of(self, file: str) -> str | None:
        """Return the name of the module of *file*, if code of it was selected."""
        return self._names.get(file)

    def _choose(self, file: str | None, name: str | None) -> Session | None:
        return self.session if self.selects(name, file, "") else None

    def instrument(
        self, code: CodeType, namespace: dict[str, object], module_import: ModuleImport | None = None
    ) -> CodeType:
        """Return what runs in *namespace* in place of *code*; that of a module that is imported was *module_import*."""
        file = dict.get(namespace, "__file__")
        name = dict.get(namespace, "__name__")
        if module_import is None and type(file) in _PLAIN and type(name) in _PLAIN:
            where = file, name, imports.has_one_instrumenter()
            made = self._recent_code.get(code, where)
            if made is None:
                made = imports.instrument_or_none(self, self._instrumented, code, namespace, file, name, None)
                if made is None:
                    return code
                self._recent_code.put(code, where, made)
            return made
        return self._instrumented(code, file, name, module_import)

    def _instrumented(self, code: CodeType, file: object, name: object, module_import: ModuleImport | None) -> CodeType:
        if self.selects(name, file, code.co_filename):
            assert isinstance(file, str)
            live = self._made(self.session, code, file, module_import)
            self._note(live, file, name if isinstance(name, str) else None, module_import)
            return live
        if is_live(code) and not imports.has_one_instrumenter():
            return code  # another measurement's
        return code_if_unmeasured(code, file if isinstance(file, str) else None, module_import)

    @staticmethod
    def _made(chosen: Session, code: CodeType, file: str | None, module_import: ModuleImport | None) -> CodeType:
        return (
            chosen.instrument_exec_code(code, file)
            if module_import is None
            else chosen.instrument_module(code, file, module_import)
        )

    def code_for_cached_bytecode(self, module_import: ModuleImport) -> CodeType | None:
        """Return what runs in place of the bytecode that is *module_import*, if that is known without looking at it."""
        file = dict.get(module_import.namespace, "__file__")
        if not isinstance(file, str) or not self.selects(
            dict.get(module_import.namespace, "__name__"), file, module_import.path
        ):
            return bytecode_if_unmeasured(module_import, file) if isinstance(file, str) else None
        return self.session.cached_module_code(module_import, file)  # `instrument` comes next

    def original_of(self, code: CodeType) -> CodeType:
        """Return what *code*, which is about to be marshalled, was before."""
        return give_out(code, "marshal")

    def _note(
        self, live: CodeType, file: str | None, name: str | None, module_import: ModuleImport | None = None
    ) -> None:
        """Note where the group of *live* came from."""
        group = live_group(live)
        if group is None or group.source is not None:
            return
        group.module = name
        if file is not None:
            self._names.setdefault(file, name)
        path = source_versions.absolute(group.file_name)
        if module_import is not None:
            group.source = source_versions.source_of_import(path, module_import.identity, module_import.header)
            if module_import.was_compiled:
                group.source.read()
        else:
            group.source = source_versions.source_of_exec_code(path, self._since)
            known = self._handed_over.get(path)
            if known is not None and known.is_like(group.source):
                group.source = known
            elif len(self._handed_over) < _N_KEPT:
                self._handed_over[path] = group.source
        if self.on_live is not None:
            if not group.source.is_known():
                self._unread.append(group.source)
            self.on_live()

    def read_sources(self, pause: Callable[[], bool]) -> None:
        """Read the texts of what was made live since this was done before, before they are edited.

        *pause* is called after each, and says whether to go on.
        """
        while self._unread:
            self._unread[0].read()
            del self._unread[0]  # other threads append
            if not pause():
                break


_N_KEPT = 1024
_PLAIN = (str, NoneType)


def place_of(group: CodeGroup) -> tuple[str, str] | None:
    """Return what the counts of *group* are booked under, path and version; None if it came from no file."""
    return group.source_key()


_selected: list[ScopedInstrumenter] = []


def scoped_instrumenter() -> ScopedInstrumenter:
    """Return the one of this process."""
    if not _selected:
        _selected.append(ScopedInstrumenter())
    return _selected[0]
