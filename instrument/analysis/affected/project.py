"""Compares the files of a project with those of an earlier test run, and finds the affected tests.

A stored measurement comes in, the records of its test runs, and a repository. Files are read, and git is called. A
Verdict goes out.

Sources that ran are compared by the hash that the counts have. The text of then comes from the record if git did not
have it, and else from git. If its hash is another one, the text is not known, and all of the file is taken as changed.
"""

from __future__ import annotations

import os
import sys

from instrument.analysis.affected.imports import ImportGraph
from instrument.analysis.affected.recorded_runs import (
    PASSED,
    distributions,
    hash_of,
    is_within,
    is_written_by_runs,
    version_of_python,
)
from instrument.analysis.affected.units import Changes, Units
from instrument.analysis.affected.verdict import Judge, Sources, Verdict
from instrument.analysis.affected.work import read_work
from instrument.analysis.source_file import read_source, version_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from instrument.analysis.affected.recorded_runs import RecordedRun
    from instrument.analysis.affected.units import Unit
    from instrument.analysis.affected.work import Code, WorkOfTests
    from instrument.analysis.patterns import FilePatterns
    from instrument.analysis.revisions.git import Repository
    from instrument.data.query import StoredMeasurement
    from instrument.model.measurement import FileKey

_SOURCE = ".py"
_MOST_NAMED = 3


class Project:
    """The project in *repository* after the test *runs*, whose counts are in *stored*.

    *base* is a commit that is compared, too, unless it is empty. Files that *ignored* does not match play no role.
    *data_folders* are no part of the project.
    """

    def __init__(
        self,
        stored: StoredMeasurement,
        runs: Sequence[RecordedRun],
        repository: Repository,
        *,
        base: str = "",
        ignored: FilePatterns,
        data_folders: Sequence[str] = (),
    ) -> None:
        self._stored, self._runs, self._repository = stored, runs, repository
        self._base, self._ignored, self._data_folders = base, ignored, data_folders
        self._paths = {file: self._path_now(file[0]) for file in stored.files()}
        self._units: dict[FileKey, Units | None] = {}
        self._changes: dict[FileKey, Changes] = {}
        #: Why it is not known which tests are affected.
        self._unknown: list[str] = []
        self._new_test_modules: dict[str, list[str]] = {}
        self._differing: set[str] | None = None

    def verdict(self) -> Verdict:
        """Return the affected tests."""
        tests = sorted({test for run in self._runs for test in run.outcomes})
        self._compare_surroundings()
        self._compare_sources()
        new = self._compare_other_files()
        if self._unknown:
            return Verdict(tests, {}, {}, self._unknown)
        work = read_work(self._stored)
        self._find_uncounted_code(work)
        sources = Sources(self._changes, self._paths, new, self._graph(), self._unit_of, self._module_of, self._shown)
        judge = Judge(work, sources, tests, [order for run in self._runs for order in run.orders])
        outcomes = {test: outcome for run in self._runs for test, outcome in run.outcomes.items()}
        judge.add((test for test, outcome in outcomes.items() if outcome != PASSED), "it did not pass before")
        judge.add((test for test in tests if not work.tests.get(test)), "it has no counts")
        verdict = judge.verdict()
        verdict.modules.update(self._new_test_modules)
        return verdict._replace(
            reasons_for_all=[*self._unknown, *work.reasons, *verdict.reasons_for_all],
            gone=frozenset(name for name in (*tests, *verdict.modules) if not os.path.lexists(self._module_of(name))),
        )

    def _path_now(self, path: str) -> str:
        """Return the path in the present working tree of the file that was at *path*."""
        for run in self._runs:
            root = os.path.join(run.state.root, "")
            if run.state.root and os.path.join(path, "").startswith(root):
                return os.path.normpath(os.path.join(self._repository.root, path[len(root) :]))
        return path

    def _module_of(self, test: str) -> str:
        """Return the path of the file of *test*."""
        return os.path.normpath(os.path.join(self._rootdir(), test.partition("::")[0]))

    def _rootdir(self) -> str:
        return self._path_now(self._runs[-1].rootdir)

    def _relative(self, path: str) -> str | None:
        """Return *path* from the top of the working tree; None if it is outside."""
        root = os.path.join(self._repository.root, "")
        return path[len(root) :].replace(os.sep, "/") if path.startswith(root) else None

    def _shown(self, path: str) -> str:
        return self._relative(path) or path

    def _compare_surroundings(self) -> None:
        """Note differences of Python and of distributions, and gaps in the counts."""
        for run in self._runs:
            if run.state.problem:
                self._unknown.append(f"the state of the files was not saved: {run.state.problem}")
            if run.python != version_of_python():
                self._unknown.append(f"the counts are of {run.python}, and this is {version_of_python()}")
            now, then = {*distributions()}, {*run.distributions}
            if now != then:
                named = ", ".join(sorted(now ^ then)[:_MOST_NAMED])
                self._unknown.append(f"other distributions are installed: {named}")
        stored = self._stored
        if stored.refused:
            self._unknown.append(f"some data cannot be used: {stored.refused[0][0]}: {stored.refused[0][1]}")
        # This command may be started by pytest, which is then counted, and has run no test yet.
        running = [process for process in stored.running if process.pid != os.getppid()]
        for processes, words in (
            (stored.cut_off, "was killed, so that its last counts are missing"),
            (running, "still runs, so that its last counts are missing"),
        ):
            if processes:
                self._unknown.append(f"process {processes[0].pid} {words}")
        self._unknown = list(dict.fromkeys(self._unknown))

    def _compare_sources(self) -> None:
        """Find the changes of all versions of sources that ran."""
        uncounted = dict(self._stored.not_measured())
        for file, path in self._paths.items():
            if self._is_ignored(path):
                continue
            now = _read(path)
            others = [now]
            if self._base and self._relative(path) is not None:
                others.append(self._repository.text(self._base, str(self._relative(path))))
            if all(text is not None and version_of(text) == file[1] for text in others):
                continue
            if not path.endswith(_SOURCE) and self._is_as_in_git(path):
                continue  # a template that was touched meanwhile: the version is that of its code
            if now is None and not self._was_there(path):
                continue  # a test wrote and removed it
            before = self._text_then(file, path)
            for text in others:
                changes = Changes(before, text)
                if file not in self._changes or changes.changed is None:
                    self._changes[file] = changes
                elif self._changes[file].changed is not None:
                    self._changes[file].changed |= changes.changed  # type: ignore[operator]
            if file[0] in uncounted:
                self._unknown.append(
                    f"{self._shown(path)} has changed, and ran in part uncounted: {uncounted[file[0]]}"
                )

    def _is_as_in_git(self, path: str) -> bool:
        """Return whether the file at *path* was in the commit of each run, and has not changed since."""
        relative = self._relative(path)
        if relative is None or relative in self._changed_files():
            return False
        return all(self._repository.text(run.state.commit, relative) is not None for run in self._runs)

    def _was_there(self, path: str) -> bool:
        """Return whether the file at *path* was there before the runs: it is in git, or was new."""
        relative = self._relative(path)
        if relative is None:
            return False
        return any(
            relative in run.state.differing or self._repository.text(run.state.commit, relative) is not None
            for run in self._runs
        )

    def _text_then(self, file: FileKey, path: str) -> bytes | None:
        """Return the text of the version *file*, which is at *path* now; None if it is not known."""
        relative = self._relative(path)
        if relative is None:
            return None
        for run in self._runs:
            for text in (run.state.texts.get(relative), self._repository.text(run.state.commit, relative)):
                if text is not None and version_of(text) == file[1]:
                    return text
        return None

    def _compare_other_files(self) -> list[str]:
        """Note changed files that no count tells about; return new sources that an import may run."""
        ran, untracked = {*self._paths.values()}, self._repository.untracked()
        new = []
        for relative in sorted(self._changed_files()):
            path = os.path.join(self._repository.root, relative)
            if path in ran or self._is_ignored(path):
                continue
            is_data = relative in untracked and any(is_within(path, folder) for folder in self._data_folders)
            if is_data or is_written_by_runs(relative):
                continue
            if self._is_new_source(relative):
                if is_test_module(relative):
                    name = os.path.relpath(path, self._rootdir()).replace(os.sep, "/")
                    self._new_test_modules[name] = ["it is new"]
                if self._is_imported(path):
                    new.append(path)
                continue
            self._unknown.append(f"{relative} has changed, and it is not known which tests use it")
        return new

    def _changed_files(self) -> set[str]:
        """Return the paths of the files that differ from those of any run, or from those of the commit BASE."""
        if self._differing is None:
            self._differing = set()
            for run in self._runs:
                if run.state.commit:
                    self._differing |= self._changed_since_run(run)
            if self._base:
                self._differing |= self._repository.changed_since(self._base)
        return self._differing

    def _changed_since_run(self, run: RecordedRun) -> set[str]:
        """Return the paths of the files that differ from those at the start of *run*."""
        changed = {*self._repository.changed_since(run.state.commit)}
        for path, then in run.state.differing.items():
            if then is not None and hash_of(os.path.join(self._repository.root, path)) == then:
                changed.discard(path)
            elif then is None and path not in changed and not path.endswith("/"):
                changed.add(path)
            elif (
                then is None
                and not path.endswith("/")
                and not os.path.lexists(os.path.join(self._repository.root, path))
            ):
                changed.discard(path)
            else:
                changed.add(path)
        return changed

    def _is_new_source(self, relative: str) -> bool:
        """Return whether the file *relative* is a source that was not there in any run, and may be imported."""
        name = os.path.basename(relative)
        if not relative.endswith(_SOURCE) or name in ("conftest.py", "__init__.py", "setup.py", "sitecustomize.py"):
            return False
        if name.removesuffix(_SOURCE) in sys.stdlib_module_names:
            return False
        path = os.path.join(self._repository.root, relative)
        if not os.path.isfile(path) or self._was_there(path):
            return False
        return is_test_module(relative) or self._is_imported(path)

    def _is_imported(self, path: str) -> bool:
        """Return whether a file may import the file at *path*."""
        return any(path in self._graph().imported(file) for file in self._graph().files - {path})

    def _find_uncounted_code(self, work: WorkOfTests) -> None:
        """Note changed code that ran in no context, or that was given out."""
        for file, changes in self._changes.items():
            counts = self._stored.counts(file)
            in_contexts = {code.function for code in work.codes if code.file == file}
            for function in counts.functions.keys():  # noqa: SIM118 - a Series is no dict
                if function not in in_contexts and changes.is_changed(function):
                    self._unknown.append(
                        f"{self._shown(self._paths[file])}: {function[0]} has changed, and ran outside of all tests"
                    )
            for function in counts.given_out:
                if changes.is_changed(function):
                    self._unknown.append(
                        f"{self._shown(self._paths[file])}: {function[0]} has changed, and may have run uncounted"
                    )

    def _graph(self) -> ImportGraph:
        if not hasattr(self, "_imports"):
            root = self._repository.root
            files = {*self._paths.values()}
            names = self._repository.tracked() | self._repository.untracked()
            files |= {os.path.join(root, name) for name in names if name.endswith(_SOURCE)}
            self._imports = ImportGraph(files, self._texts)
        return self._imports

    def _texts(self, path: str) -> Iterator[bytes]:
        """Yield the known versions of the source at *path*."""
        now = _read(path)
        if now is not None:
            yield now
        for file in self._files_at().get(path, ()):
            if file in self._changes:
                text = self._text_then(file, path)
                if text is not None:
                    yield text

    def _files_at(self) -> dict[str, list[FileKey]]:
        by_path: dict[str, list[FileKey]] = {}
        for file, path in self._paths.items():
            by_path.setdefault(path, []).append(file)
        return by_path

    def _unit_of(self, code: Code) -> Unit | None:
        """Return the unit of *code*, in the version that ran."""
        file = code.file
        if file not in self._units:
            changes = self._changes.get(file)
            if changes is not None:
                self._units[file] = changes.before
            else:
                text = _read(self._paths[file])
                try:
                    self._units[file] = None if text is None else Units(text, with_texts=False)
                except ValueError:
                    self._units[file] = None
        units = self._units[file]
        return None if units is None else units.find(code.function)

    def _is_ignored(self, path: str) -> bool:
        relative = self._relative(path)
        return not self._ignored.match(path) or (relative is not None and not self._ignored.match(relative))


def is_test_module(path: str) -> bool:
    """Return whether pytest collects the file *path* by its usual patterns of names."""
    name = os.path.basename(path)
    return name.endswith(_SOURCE) and (name.startswith("test_") or name.endswith("_test.py"))


def _read(path: str) -> bytes | None:
    try:
        return read_source(path)
    except (OSError, ValueError):
        return None
