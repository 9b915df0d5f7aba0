"""Counts of this process while it runs: `snapshot`, `reset`, and `counting`.

Names of modules, paths, or modules themselves come in; `CoverageResults` go out, of the counts until now. The first two
are about a process that is recorded (INSTRUMENT=1, or `instrument run`); `counting` measures in any process, whatever
the environment says, and has its own counts.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

from instrument.guest.own_imports import OwnImports

with OwnImports():
    from instrument.config.values import ITEMS, OWN, alternative_to_pattern
    from instrument.errors import InstrumentError
    from instrument.guest.messages import say
    from instrument.hooks import process_end
    from instrument.link import source_versions
    from instrument.record import recorder
    from instrument.report.trace_results import CoverageResults
    from instrument.scope.project import Scope
    from instrument.scope.trace_ignore import module_name
    from instrument.session.scoped import scoped_instrumenter
    from instrument.session.window import Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.record.recorder import Recorder
    from instrument.report.counts_file import CalledFunctions, LineCounts


class NotRecordedError(InstrumentError):
    """Counts of this process were asked for, but it is not recorded: set INSTRUMENT=1, or start it by `instrument run`;
    `instrument.counting` measures without either.
    """


def snapshot() -> CoverageResults:
    """Return what this process, which is recorded, has counted so far, or since `reset`: files by absolute path.

    Nothing is written: the data that the process keeps goes its own way.
    """
    lines, functions = _recorder("snapshot").counts()
    called: CalledFunctions = {(path, module_name(path), name): 1 for path, name, _ in functions}
    results = CoverageResults(lines, calledfuncs=called)
    results.not_measured = tuple(scoped_instrumenter().session.not_measured.items())
    return results


def reset() -> None:
    """Let `snapshot` begin at zero. The data that the process keeps is not touched: there, nothing is ever lost."""
    _recorder("reset").reset()


def _recorder(name: str) -> Recorder:
    found = recorder.current()
    if found is None:
        raise NotRecordedError(
            f"instrument.{name}() needs a process that is recorded: set INSTRUMENT=1 or use `instrument run`; "
            "instrument.counting() measures without"
        )
    return found


class counting:  # noqa: N801 - it is used as a function
    """Count what runs while this is entered: code of the modules and paths in *scope*.

    Without a scope that is the project's own code: neither the standard library nor what was installed. Modules may
    be given themselves, or by name, with all that is in them if they are packages; files and folders by their path. All
    threads are counted. What matched no code in any measurement of the process is said on standard error when the
    process ends. What `with` gives are the results, at any moment those until then:

        with instrument.counting("shop") as results:
            shop.sell()
        print(results.counts["/srv/me/shop.py", 17])
    """

    def __init__(self, *scope: str | os.PathLike[str] | ModuleType) -> None:
        self._scope = Scope(_item(one) for one in scope)
        self._selected = scoped_instrumenter()
        self._window: Window | None = None
        self._results = _Live(self)

    def __enter__(self) -> CoverageResults:
        if self._window is not None:
            raise InstrumentError("instrument.counting(…) is entered already; make another one")
        _expect(self._scope)
        self._selected.begin(self._scope, lazily=False)
        self._window = Window(self._selected.session)
        return self._results

    def __exit__(self, *exception: object) -> None:
        self.take()
        assert self._window is not None
        self._window.close()
        self._window = None
        self._selected.end(self._scope)
        _note_matches(self._scope)
        _open.remove(self._scope)

    def take(self) -> None:
        """Add what was counted since this was done before to the results."""
        if self._window is None:
            return
        counts = self._results.taken
        for file, source, seen in self._window.take():
            if (
                file is None
                or source.startswith("<")
                or not self._scope.selects(self._selected.module_name_of(file), file)
            ):
                continue
            path = source_versions.absolute(source)
            for line, n in seen.lines.items():
                counts[path, line] = counts.get((path, line), 0) + n


class _Live(CoverageResults):
    """Results that are up to date whenever they are asked for."""

    def __init__(self, source: counting) -> None:
        self.taken: LineCounts = {}
        self._source = source
        super().__init__(self.taken)
        self.not_measured = tuple(source._selected.session.not_measured.items())

    @property
    def counts(self) -> LineCounts:
        """How often each line ran, by absolute path and number."""
        self._source.take()
        return self.taken

    @counts.setter
    def counts(self, value: LineCounts) -> None:
        self.taken = value


#: Items of scopes of `counting` by whether they matched code yet, and the process that says which did not.
_expected: dict[str, bool] = {}
_speaker: list[int] = []


def _expect(scope: Scope) -> None:
    """Say when this process ends which items of *scope* matched no code, in no measurement."""
    for item in scope.unmatched():
        _expected.setdefault(item, False)
    if _expected and not _speaker:
        _speaker.append(os.getpid())
        process_end.at_last(_say_what_matched_nothing)
    _open.append(scope)


def _note_matches(scope: Scope) -> None:
    """Note what *scope* has matched."""
    unmatched = scope.unmatched()
    _expected.update((item, True) for item in scope.items if item in _expected and item not in unmatched)


#: The scopes of measurements that have not ended.
_open: list[Scope] = []


def _say_what_matched_nothing() -> None:
    if _speaker != [os.getpid()]:  # forked
        return
    for scope in _open:
        _note_matches(scope)
    unmatched = [item for item, has_matched in _expected.items() if not has_matched]
    absent = [item for item in unmatched if item not in sys.modules]
    lines = []
    if absent:
        lines = [f"no module or file that was loaded is in the scope {','.join(absent)!r}; name {ITEMS}"]
    lines += [f"{item!r} was loaded, but has no code that could be counted" for item in unmatched if item not in absent]
    for line in lines:
        say(f"counting: {line}")


def _item(one: str | os.PathLike[str] | ModuleType) -> str:
    """Return *one* as an item of a Scope: a dotted name, or an absolute path."""
    if isinstance(one, ModuleType):
        return one.__name__ if one.__name__ != "__main__" else os.path.abspath(str(one.__file__))
    better = alternative_to_pattern(one) if isinstance(one, str) else ""
    if better:
        raise InstrumentError(f"{one!r} is a pattern, and a scope takes no patterns; name {better}")
    if not isinstance(one, str) or os.sep in one or one.endswith(".py"):
        return os.path.abspath(os.fspath(one))
    if one == OWN:
        return one
    if not all(map(str.isidentifier, one.split("."))):
        raise InstrumentError(f"{one!r} is neither the name of a module nor a path: write './{one}' for a path")
    return one
