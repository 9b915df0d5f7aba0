"""The instrumenter of all scopes: those of the recorder and of `counting`.

Code goes out live, with minimal placement, if any active scope selects its module. Its code group gets the name of the
module, and the source that it was compiled from.
"""

from __future__ import annotations

import sys
from time import time
from types import FunctionType

from instrument.flow import placement_names
from instrument.guest.process_state import ProcessState
from instrument.hooks import bytecode_readers, imports
from instrument.link import source_versions
from instrument.session.existing_functions import instrument_existing_functions, restore_unmeasured_functions
from instrument.session.instrumenter import Instrumenter
from instrument.session.originals import give_out, original_of
from instrument.session.registry import is_live, live_place
from instrument.session.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Protocol

    from instrument.link.code_group import CodeGroup
    from instrument.link.module_import import ModuleImport
    from instrument.link.source_versions import Source
    from instrument.session.session import Session

    class Scope(Protocol):
        """The modules that a measurement is about."""

        def selects(self, name: str | None, file: str) -> bool: ...


#: The sources of so many files of exec'd code are kept.
_MOST_SOURCES = 1_024


class Scopes:
    """The choice of the `ScopedInstrumenter`: measure code whose module any of `scopes` selects."""

    spares_live_code = True  # of a `Trace`
    selects_texts = False

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    def selects(self, name: object, file: object, source: str) -> bool:
        """Return whether to measure code of the source file *source* in a module with this `__name__` and `__file__`.

        Code from no file is not measured.
        """
        if type(file) is not str or source.startswith("<"):
            return False
        module_name = name if type(name) is str else None
        for scope in self.scopes:  # noqa: SIM110 - a generator would be one more frame for each module
            if scope.selects(module_name, file):
                return True
        return False

    def note_entered(self, file: str) -> None:
        """Do nothing: unlike the choice of a `Trace`, scopes do not depend on which module runs first."""

    note_execution = note_entered


class ScopedInstrumenter(Instrumenter):
    """Makes code live that any active scope selects, in one session for all scopes."""

    def __init__(self) -> None:
        self._scopes = Scopes()
        super().__init__(session(placement_names.MINIMAL), self._scopes, self._note_source)
        #: Called whenever code was made live.
        self.on_live: Callable[[], None] | None = None
        #: Sources of live code whose texts have not been read yet.
        self._unread: list[Source] = []
        #: Returns how many those are; a function in C.
        self.n_unread = self._unread.__len__
        self._since = time()
        #: By path.
        self._sources_of_exec_code: dict[str, Source] = {}
        #: By `__file__`.
        self._module_names: dict[str, str | None] = {}
        #: Names of modules that `instrument_late_functions` has examined once, and twice; how many modules there were.
        self._examined_once: set[str] = set()
        self._examined_twice: set[str] = set()
        self._n_modules = 0

    def begin(self, scope: Scope) -> None:
        """Make code live that *scope* selects, existing functions included, until `end`."""
        self._scopes.scopes.append(scope)
        self.forget_recent_code()
        instrument_existing_functions(self._choose_session, self._note_source)
        if len(self._scopes.scopes) == 1:
            imports.install(self, at_end=True)
            bytecode_readers.install(original_of, give_out)

    def _instrument(self, code: CodeType, file: object, name: object, module_import: ModuleImport | None) -> CodeType:
        # A scope selects a module always or never, so this twin need not be examined anew. [3.12, callgrind: 20,000
        # instructions for each module]
        if module_import is not None and module_import.twin is code and type(file) is str:
            group = module_import.group
            if group is not None and group.source is None:
                self._note_source_of(group, file, name if isinstance(name, str) else None, module_import)
            return code
        return super()._instrument(code, file, name, module_import)

    def end(self, scope: Scope) -> None:
        """Undo one `begin` of *scope*. Live code stays live, and costs next to nothing."""
        self._scopes.scopes.remove(scope)
        self.forget_recent_code()
        if not self._scopes.scopes:
            imports.uninstall(self)
            restore_unmeasured_functions()
        self.save_cache()

    def save_cache(self) -> None:
        """Save all new entries to the cache, for other processes."""
        self.session.unlinked_code.save()
        session(placement_names.NOTHING).unlinked_code.save()

    def instrument_late_functions(self) -> None:
        """Make functions live of modules that C code has compiled and executed since the last call.

        uWSGI and mod_wsgi load their scripts like that, without the import system. Each new module is examined in two
        calls, as it may be in the middle of its execution during the first.
        """
        modules = sys.modules
        if len(modules) == self._n_modules and not self._examined_once:
            return
        self._n_modules = len(modules)
        examined_before, self._examined_once = self._examined_once, set()
        has_late_functions = False
        for name, module in list(modules.items()):
            if name in self._examined_twice:
                continue
            if name in examined_before:
                self._examined_twice.add(name)
            else:
                self._examined_once.add(name)
            has_late_functions = has_late_functions or self._has_late_functions(getattr(module, "__dict__", None))
        if has_late_functions:
            instrument_existing_functions(self._choose_session, self._note_source)

    def _has_late_functions(self, namespace: object) -> bool:
        """Return whether *namespace*, of a module, is selected and has functions of its own that are not live."""
        if type(namespace) is not dict:
            return False
        if not self._scopes.selects(namespace.get("__name__"), namespace.get("__file__"), ""):
            return False
        return any(
            type(value) is FunctionType and value.__globals__ is namespace and not is_live(value.__code__)
            for value in list(namespace.values())
        )

    def module_name_of(self, file: str) -> str | None:
        """Return the name of the module with this `__file__`; None if none of its code was made live."""
        return self._module_names.get(file)

    def _choose_session(self, file: str | None, name: str | None) -> Session | None:
        return self.session if self._scopes.selects(name, file, "") else None

    def _note_source(
        self, live: CodeType, file: str | None, name: str | None, module_import: ModuleImport | None = None
    ) -> None:
        """Set the module name and the source of the code group of *live*, unless that was done before."""
        place = live_place(live)
        if place is not None and place.group.source is None:
            self._note_source_of(place.group, file, name, module_import)

    def _note_source_of(
        self, group: CodeGroup, file: str | None, name: str | None, module_import: ModuleImport | None
    ) -> None:
        """Set the module name and the source of *group*, whose code was just made live."""
        group.module = name
        if file is not None:
            self._module_names.setdefault(file, name)
        if module_import is not None:
            source = module_import.source(group.file_name)
            if module_import.was_compiled:
                source.read()
        else:
            source = self._source_of_exec_code(source_versions.absolute(group.file_name))
        group.source = source
        if self.on_live is not None:
            if not source.is_known():
                self._unread.append(source)
            self.on_live()

    def _source_of_exec_code(self, path: str) -> Source:
        """Return the source at *path*; an earlier one if it is certain that the text is the same."""
        source = source_versions.source_of_exec_code(path, self._since)
        earlier = self._sources_of_exec_code.get(path)
        if earlier is not None and earlier.is_like(source):
            return earlier
        if len(self._sources_of_exec_code) < _MOST_SOURCES:
            self._sources_of_exec_code[path] = source
        return source

    def read_sources(self, pause: Callable[[], bool]) -> None:
        """Read the texts of live code before they are edited.

        *pause* is called after each text, and returns whether to go on.
        """
        while self._unread:
            self._unread[0].read()
            del self._unread[0]  # by index, as other threads append
            if not pause():
                break


class _State(ProcessState):
    """The `instrumenter` of this process; None until it is needed."""

    __slots__ = ("instrumenter",)
    instrumenter: ScopedInstrumenter | None

    def reset(self) -> None:
        """Forget the instrumenter."""
        self.instrumenter = None


_state = _State()


def scoped_instrumenter() -> ScopedInstrumenter:
    """Return this process's instrumenter of all scopes."""
    if _state.instrumenter is None:
        _state.instrumenter = ScopedInstrumenter()
    return _state.instrumenter
