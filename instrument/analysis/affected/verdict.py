"""Verdict: the affected tests with the reasons, by the rules of this package.

The work of each test comes in, the order of tests, the changes of each source that ran, and a graph of imports. Nothing
is read here.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from instrument.analysis.affected.kept import Calls, uses_of_kept_results
from instrument.analysis.affected.units import MODULE
from instrument.analysis.affected.work import members, set_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from instrument.analysis.affected.imports import ImportGraph
    from instrument.analysis.affected.units import Changes, Unit
    from instrument.analysis.affected.work import Code, WorkOfTests
    from instrument.model.measurement import FileKey

#: The context of code that runs in the collection of tests (`pytest_plugin.contexts`).
COLLECTION = "collection"
#: The context of a fixture that many tests share.
_FIXTURE = re.compile(r"(?:teardown of )?(?:class|module|package|session) fixture \S+(?: of (.*))?", re.DOTALL)
_CONFTEST = "conftest.py"
#: Hooks that pytest calls for tests in other folders, too.
_HOOKS_OF_ALL = frozenset(
    (
        *("pytest_collection_modifyitems", "pytest_collection_finish", "pytest_collection", "pytest_configure"),
        *("pytest_sessionstart", "pytest_sessionfinish", "pytest_runtestloop", "pytest_plugin_registered"),
        *("pytest_addoption", "pytest_addhooks", "pytest_cmdline_main", "pytest_deselected", "pytest_xdist_setupnodes"),
    )
)
#: The most reasons that are kept of one test.
_MOST_REASONS = 5


class Verdict(NamedTuple):
    """The affected tests.

    - known: all tests in the counts, sorted
    - affected: the reasons for each affected test, if not all tests must run
    - modules: the reasons for each test module of which all tests must run, those without counts, too
    - reasons_for_all: why all tests must run; empty if only some must
    - gone: modules and tests of which the file is gone
    """

    known: list[str]
    affected: dict[str, list[str]]
    modules: dict[str, list[str]]
    reasons_for_all: list[str]
    gone: frozenset[str] = frozenset()

    def must_run(self, test: str) -> bool:
        """Return whether *test*, a node id, must run. A test without counts must."""
        if self.reasons_for_all or test in self.affected or test.partition("::")[0] in self.modules:
            return True
        return test not in self.known


class Sources(NamedTuple):
    """The sources of the project.

    - changes: the changes of each version of a source that ran and is not the present one
    - paths: the path of each version that ran, in the present tree
    - new: files that are new, and that an import may run
    - graph: the imports
    - unit_of: returns the unit of a code object; None if it is not known
    - module_of: returns the file of a test by its node id
    - shown: returns a path as it is shown
    """

    changes: Mapping[FileKey, Changes]
    paths: Mapping[FileKey, str]
    new: Sequence[str]
    graph: ImportGraph
    unit_of: Callable[[Code], Unit | None]
    module_of: Callable[[str], str]
    shown: Callable[[str], str]


class Judge:
    """Finds the affected tests of *work* after the changes in *sources*.

    *tests* has all tests of the record, and *orders* those of each process in the order in which they ran.
    """

    def __init__(
        self, work: WorkOfTests, sources: Sources, tests: Iterable[str], orders: Sequence[Sequence[str]]
    ) -> None:
        self._work, self._sources, self._orders = work, sources, orders
        self._tests = sorted({*tests})
        self._changed = set_of(
            number
            for number, code in enumerate(work.codes)
            if code.file in sources.changes and sources.changes[code.file].is_changed(code.function)
        )
        self._affected: dict[str, list[str]] = {}
        self._modules: dict[str, list[str]] = {}
        self._for_all: list[str] = []
        self._roots: dict[str, list[str]] = {}
        self._reached: dict[str, frozenset[str]] = {}
        self._reached_by_code: dict[str, frozenset[str]] = {}
        self._reached_by_any: frozenset[str] | None = None

    def verdict(self) -> Verdict:
        """Return the Verdict."""
        self._add_tests_that_ran_it()
        self._add_tests_of_contexts()
        for file, changes in self._sources.changes.items():
            if changes.changes_bodies:
                self._add_importers(self._sources.paths[file], file, "code that its import runs")
            self._add_effects_on_all(file, changes)
        for path in self._sources.new:
            self._add_importers(path, None, "a new file that is imported")
        if self._changed and not self._for_all and len(self._affected) < len(self._tests):
            self._add_users_of_kept_results()
        return Verdict(self._tests, self._affected, self._modules, self._for_all)

    def add(self, tests: Iterable[str], reason: str) -> None:
        """Note that *tests* are affected for this *reason*."""
        for test in tests:
            reasons = self._affected.setdefault(test, [])
            if reason not in reasons and len(reasons) < _MOST_REASONS:
                reasons.append(reason)

    def _add_module(self, path: str, reason: str) -> None:
        reasons = self._modules.setdefault(path, [])
        if reason not in reasons and len(reasons) < _MOST_REASONS:
            reasons.append(reason)

    def _for_all_because(self, reason: str) -> None:
        if reason not in self._for_all:
            self._for_all.append(reason)

    def _add_tests_that_ran_it(self) -> None:
        """Apply rule 2: tests that ran changed code."""
        for test in self._tests:
            for number in members(self._work.tests.get(test, 0) & self._changed):
                self.add([test], self._name(self._work.codes[number]))

    def _add_tests_of_contexts(self) -> None:
        """Apply rule 4: changed code that ran outside of tests."""
        for context, work in self._work.others.items():
            codes = [self._work.codes[number] for number in members(work & self._changed)]
            if not codes:
                continue
            fixture = _FIXTURE.fullmatch(context)
            if context == COLLECTION:
                for code in {code.file: code for code in codes}.values():
                    self._add_importers(self._sources.paths[code.file], code.file, "code that the collection runs")
            elif fixture:
                place = fixture[1] or ""
                tests = [test for test in self._tests if _is_below(test, place)]
                for code in codes:
                    self.add(tests, f"{self._name(code)}, in a {context}")
            else:
                self._for_all_because(f"{self._name(codes[0])} has changed, and ran outside of tests ({context})")

    def _add_importers(self, path: str, file: FileKey | None, reason: str) -> None:
        """Apply rule 3 to the changed file at *path*, which ran as *file*; *reason* names the changed part."""
        shown = self._sources.shown(path)
        if path in self._reached_from_elsewhere():
            self._for_all_because(f"{shown} has changed, and no test module imports it by a name in its source")
            return
        codes = self._work.of_file.get(file, 0) if file is not None else 0
        for test in self._tests:
            module = self._sources.module_of(test)
            if path in self._reached_of(module):
                self.add([test], f"{shown}: {reason}")
                self._add_module(test.partition("::")[0], f"{shown}: {reason}")
            elif self._work.tests.get(test, 0) & codes or path in self._reached_by_code_of(test):
                self.add([test], f"{shown}: {reason}")

    def _add_effects_on_all(self, file: FileKey, changes: Changes) -> None:
        """Let all tests run if the changed *file* may have an effect on tests that do not import it."""
        shown = self._sources.shown(self._sources.paths[file])
        names = changes.changed_names & _HOOKS_OF_ALL
        if names:
            self._for_all_because(f"{shown}: {min(names)} has changed, and pytest calls it for all tests")
        if changes.changes_bodies and changes.patches:
            self._for_all_because(f"{shown} has changed, and an import of it changes other modules")

    def _add_users_of_kept_results(self) -> None:
        """Apply rule 5: results of changed code that earlier tests may have left."""
        units = [self._sources.unit_of(code) for code in self._work.codes]
        calls = Calls(units)
        others = list(self._work.others.values())
        bodies = set_of(number for number, unit in enumerate(units) if unit is not None and unit.is_body)
        for order in self._orders:
            works = [self._work.tests.get(test, 0) for test in order]
            uses, kept = uses_of_kept_results(calls, self._changed, others, works)
            for test, found in zip(order, uses, strict=True):
                if not found and kept & bodies:
                    found = kept & bodies & self._bodies_imported_by(test)
                if found and test not in self._affected:
                    code = self._work.codes[next(members(found))]
                    self.add([test], f"{self._name(code)}, which may return a kept result of changed code")
            for context, work in self._work.others.items():
                fixture = _FIXTURE.fullmatch(context)
                if fixture and work & kept:
                    code = self._work.codes[next(members(work & kept))]
                    reason = f"{self._name(code)}, in a {context}, which may return a kept result of changed code"
                    self.add((test for test in self._tests if _is_below(test, fixture[1] or "")), reason)

    def _bodies_imported_by(self, test: str) -> int:
        reached = self._reached_of(self._sources.module_of(test))
        return set_of(
            number
            for file, path in self._sources.paths.items()
            if path in reached
            for number in members(self._work.of_file.get(file, 0))
        )

    def _reached_of(self, module: str) -> frozenset[str]:
        """Return the files that the test module *module* and its conftest files may import, themselves included."""
        if module not in self._reached:
            graph = self._sources.graph
            reached: set[str] = set(graph.reached(module))
            folder = os.path.dirname(module)
            while True:
                conftest = os.path.join(folder, _CONFTEST)
                if conftest in graph.files:
                    reached |= graph.reached(conftest)
                parent = os.path.dirname(folder)
                if parent == folder:
                    break
                folder = parent
            self._reached[module] = frozenset(reached)
        return self._reached[module]

    def _reached_by_code_of(self, test: str) -> frozenset[str]:
        """Return the files that code may import which *test* ran, and which its test module does not reach by names."""
        if test not in self._reached_by_code:
            reached = self._reached_of(self._sources.module_of(test))
            work = self._work.tests.get(test, 0)
            files = {self._sources.paths[file] for file, codes in self._work.of_file.items() if work & codes}
            found = (self._sources.graph.reached(file) for file in files - reached)
            self._reached_by_code[test] = frozenset().union(*found)
        return self._reached_by_code[test]

    def _reached_from_elsewhere(self) -> frozenset[str]:
        """Return the files that code may import which no test module reaches by names."""
        if self._reached_by_any is None:
            by_tests: set[str] = set()
            for module in {self._sources.module_of(test) for test in self._tests}:
                by_tests |= self._reached_of(module)
            elsewhere: set[str] = set()
            for file in {*self._sources.paths.values()} - by_tests:
                elsewhere |= self._sources.graph.reached(file)
            self._reached_by_any = frozenset(elsewhere)
        return self._reached_by_any

    def _name(self, code: Code) -> str:
        """Return *code* for users."""
        name = code.function[0]
        words = "module-level code" if name == MODULE else name
        return f"{self._sources.shown(self._sources.paths[code.file])}: {words}"


def _is_below(test: str, place: str) -> bool:
    """Return whether *test* is in *place*, a folder, module or class by its node id; an empty text has all tests."""
    return not place or test == place or test.startswith((f"{place}/", f"{place}::"))
