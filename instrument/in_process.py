"""Counts of this process while it runs: `snapshot`, `reset`, and `counting`.

Scopes come in; `CoverageResults` go out, with the counts until now. `snapshot` and `reset` need a process that is
recorded (INSTRUMENT=1, or `instrument run`). `counting` measures in any process, and has counts of its own.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

from instrument.guest.own_imports import OwnImports

with OwnImports():
    from instrument.config.values import ITEMS, OWN, alternative_to_pattern
    from instrument.errors import InstrumentError, NotRecordedError
    from instrument.guest.messages import say
    from instrument.guest.process_state import ProcessState
    from instrument.hooks import process_end
    from instrument.link import source_versions
    from instrument.record import recorder
    from instrument.scope.project import Scope
    from instrument.scope.trace_ignore import module_name
    from instrument.session.scoped import scoped_instrumenter
    from instrument.session.window import Window
    from instrument.trace_results.coverage_results import CoverageResults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.record.recorder import Recorder
    from instrument.trace_results.counts_file import CalledFunctions, LineCounts


def snapshot() -> CoverageResults:
    """Return the counts of this recorded process so far, or since `reset`; files are absolute paths.

    The data file is not written. Raise NotRecordedError if the process is not recorded.
    """
    lines, functions = _recorder("snapshot").counts()
    called: CalledFunctions = {(path, module_name(path), name): 1 for path, name, _ in functions}
    results = CoverageResults(lines, calledfuncs=called)
    results.not_measured = tuple(scoped_instrumenter().session.not_measured.items())
    return results


def reset() -> None:
    """Have `snapshot` count from zero. The data file keeps all counts.

    Raise NotRecordedError if the process is not recorded.
    """
    _recorder("reset").reset()


def _recorder(function_name: str) -> Recorder:
    """Return the recorder of this process, for the function *function_name* of the package."""
    current = recorder.current()
    if current is None:
        raise NotRecordedError(
            f"instrument.{function_name}() needs a process that is recorded: set INSTRUMENT=1 or use `instrument run`; "
            "instrument.counting() measures without"
        )
    return current


class counting:  # noqa: N801 - programs use it like a function
    """Count the code of the modules and paths in *scope* that runs in a `with` block, in all threads.

    A module is given as itself, or by its name. The name of a package stands for all modules in it. Files and folders
    are given by their paths. Without a scope, the project's own code is counted: neither the standard library nor
    installed packages. When the process ends, standard error names the items that matched no code in any measurement.

    The `with` statement gives the results, which always have the counts until now:

        with instrument.counting("shop") as results:
            shop.sell()
        print(results.counts["/srv/me/shop.py", 17])
    """

    def __init__(self, *scope: str | os.PathLike[str] | ModuleType) -> None:
        self._scope = Scope(scope_item(item) for item in scope)
        self._instrumenter = scoped_instrumenter()
        self._window: Window | None = None
        self._results = _LiveResults(self)

    def __enter__(self) -> CoverageResults:
        if self._window is not None:
            raise InstrumentError("instrument.counting(…) is entered already; make another one")
        _unmatched.begin(self._scope)
        self._instrumenter.begin(self._scope)
        self._window = Window(self._instrumenter.session)
        return self._results

    def __exit__(self, *exception: object) -> None:
        self.take()
        assert self._window is not None
        self._window.close()
        self._window = None
        self._instrumenter.end(self._scope)
        _unmatched.end(self._scope)

    def take(self) -> None:
        """Add the counts since the last call to the results."""
        if self._window is None:
            return
        counts = self._results.taken
        module_name_of = self._instrumenter.module_name_of
        for file, source, counted in self._window.take():
            if file is None or source.startswith("<") or not self._scope.selects(module_name_of(file), file):
                continue
            path = source_versions.absolute(source)
            for line, n in counted.lines.items():
                counts[path, line] = counts.get((path, line), 0) + n

    def not_measured(self) -> tuple[tuple[str, str], ...]:
        """Return the files that are not fully measured, each with the reason."""
        return tuple(self._instrumenter.session.not_measured.items())


class _LiveResults(CoverageResults):
    """Results that have the counts until the moment at which they are read."""

    def __init__(self, source: counting) -> None:
        self.taken: LineCounts = {}
        self._source = source
        super().__init__(self.taken)
        self.not_measured = source.not_measured()

    @property
    def counts(self) -> LineCounts:
        """How often each line ran, by absolute path and line number."""
        self._source.take()
        return self.taken

    @counts.setter
    def counts(self, value: LineCounts) -> None:
        self.taken = value


class _UnmatchedItems(ProcessState):
    """Names on standard error, when the process ends, the items of scopes that matched no code."""

    __slots__ = ("_has_matched", "_open_scopes", "_process")
    #: Whether an item has matched code in any measurement.
    _has_matched: dict[str, bool]
    #: The scopes of measurements that have not ended.
    _open_scopes: list[Scope]
    #: The process that has an exit handler for this; a forked child says nothing.
    _process: int | None

    def reset(self) -> None:
        """Forget all items."""
        self._has_matched = {}
        self._open_scopes = []
        self._process = None

    def begin(self, scope: Scope) -> None:
        """Note the items of *scope*."""
        for item in scope.unmatched():
            self._has_matched.setdefault(item, False)
        if self._has_matched and self._process is None:
            self._process = os.getpid()
            process_end.at_last(self._say)
        self._open_scopes.append(scope)

    def end(self, scope: Scope) -> None:
        """Note which items of *scope* have matched: its measurement has ended."""
        self._note_matches(scope)
        self._open_scopes.remove(scope)

    def _note_matches(self, scope: Scope) -> None:
        unmatched = scope.unmatched()
        self._has_matched.update(
            (item, True) for item in scope.items if item in self._has_matched and item not in unmatched
        )

    def _say(self) -> None:
        if self._process != os.getpid():  # a forked child
            return
        for scope in self._open_scopes:
            self._note_matches(scope)
        unmatched = [item for item, has_matched in self._has_matched.items() if not has_matched]
        absent = [item for item in unmatched if item not in sys.modules]
        lines = []
        if absent:
            lines = [f"no module or file that was loaded is in the scope {','.join(absent)!r}; name {ITEMS}"]
        lines += [
            f"{item!r} was loaded, but has no code that could be counted" for item in unmatched if item not in absent
        ]
        for line in lines:
            say(f"counting: {line}")


_unmatched = _UnmatchedItems()


def scope_item(item: str | os.PathLike[str] | ModuleType) -> str:
    """Return *item*, which a program names, as a `Scope` takes it: a dotted name, an absolute path, or OWN.

    Raise InstrumentError if it is none of these.
    """
    if isinstance(item, ModuleType):
        return item.__name__ if item.__name__ != "__main__" else os.path.abspath(str(item.__file__))
    better = alternative_to_pattern(item) if isinstance(item, str) else ""
    if better:
        raise InstrumentError(f"{item!r} is a pattern, and a scope takes no patterns; name {better}")
    if not isinstance(item, str) or os.sep in item or item.endswith(".py"):
        return os.path.abspath(os.fspath(item))
    if item == OWN:
        return item
    if not all(map(str.isidentifier, item.split("."))):
        raise InstrumentError(f"{item!r} is neither the name of a module nor a path: write './{item}' for a path")
    return item
