"""Analysis: all source files of a measurement, with the facts that a reader of a report needs.

A stored measurement and patterns of files come in. The writers of `instrument.report` take the result; they read no
data file.
"""

from __future__ import annotations

import sys
import time
from functools import partial

from instrument.analysis.exclusions import Exclusions
from instrument.analysis.file_analysis import EVENTS, FileAnalysis
from instrument.analysis.local_paths import copy_that_ran, installed_copy, local_paths
from instrument.analysis.never_imported import NeverImported
from instrument.analysis.runs import count_runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.analysis.kept_files import KeptFiles
    from instrument.analysis.patterns import FilePatterns
    from instrument.data.query import StoredMeasurement
    from instrument.model.measurement import FileKey


class Analysis:
    """The files of a stored measurement that *patterns* choose, with the facts about the whole.

    `files` has the files that ran, in the order of their paths, and then the files that were never imported. `paths`
    has the paths of all files, whether *patterns* choose them or not. `not_measured` has the chosen files that ran
    uncounted, at least in part, each with a reason. `local` maps file versions to their paths on this machine, if these
    differ. `other_pythons` has the minor versions of Python, other than `own_python`, that ran the program.
    `n_optimized` is the number of processes that ran with -O.

    `exclusions` are the rules by which lines are excluded, and know which of the user's patterns matched.

    `without_flow` says why it is not known how control went through a file, by its path, if it should be.

    `refused`, `unwritten`, `running`, `cut_off` and `began` are those of `StoredMeasurement`.

    After `add_never_imported`, `never_imported` is the result of the search. `not_compiled` has the files that this
    Python cannot compile. `copies_that_ran` maps files to a copy that ran in their place. `installed_copies` maps files
    to a copy that is installed.
    """

    def __init__(
        self,
        stored: StoredMeasurement,
        patterns: FilePatterns,
        *,
        keeps_lines: bool = True,
        needs_flow: bool = True,
        exclusions: Exclusions | None = None,
        kept: KeptFiles | None = None,
    ) -> None:
        """Analyse the files that ran. Without *keeps_lines*, forget single lines at once, which saves memory.

        Without *needs_flow*, do not find out how control went through the files, which takes long.

        Without *exclusions*, those of pyproject.toml count. Raise ConfigError if these are impossible.

        *kept* has the files of an earlier Analysis of the same data folder, with the same arguments. Files whose counts
        and source are the same since then are taken from there.
        """
        self._patterns, self._keeps_lines, self._needs_flow = patterns, keeps_lines, needs_flow
        self._kept = kept
        if kept is not None:
            kept.begin(process.id for process in stored.processes)
        self.exclusions = Exclusions.configured() if exclusions is None else exclusions
        self.refused, self.unwritten = stored.refused, stored.unwritten
        self.running, self.cut_off, self.began = stored.running, stored.cut_off, stored.began()
        self.processes = stored.processes
        self.n_runs = count_runs(self.processes)
        self.files: list[FileAnalysis] = []
        self.never_imported: NeverImported | None = None
        self.not_compiled: list[str] = []
        self.copies_that_ran: dict[str, str] = {}
        self.installed_copies: dict[str, str] = {}
        self._is_optimized = any(process.is_optimized for process in self.processes)
        file_keys, not_measured = stored.files(), stored.not_measured()
        self.local = local_paths(file_keys)
        self.paths = {self.local.get(key, key[0]) for key in file_keys} | {path for path, _reason in not_measured}
        self.not_measured = [(path, reason) for path, reason in not_measured if patterns.match(path)]
        self.without_flow: dict[str, str] = {}
        self._add_measured(stored, file_keys, frozenset(path for path, _reason in not_measured))
        self.own_python = ".".join(map(str, sys.version_info[:2]))
        self.other_pythons = self._other_pythons() if self.files else []
        self.n_optimized = sum(process.is_optimized for process in self.processes) if self.files else 0

    def _add_measured(self, stored: StoredMeasurement, keys: list[FileKey], partly_measured: frozenset[str]) -> None:
        """Add the files that ran: file versions with the same local path and the same content are one file."""
        by_local_path: dict[FileKey, list[FileKey]] = {}
        for path, version in keys:
            local_key = self.local.get((path, version), path), version
            by_local_path.setdefault(local_key, []).append((path, version))
        for (path, version), same in by_local_path.items():
            if self._patterns.match(path):
                analyse = partial(self._measured, stored, path, version, same, partly_measured)
                if self._kept is None:
                    self._add(analyse())
                    continue
                facts = (
                    [(key, stored.state_of_counts(key)) for key in same],
                    partly_measured.intersection(path for path, _version in same),
                    self._is_optimized,
                )
                file = self._kept.get(path, version, facts, analyse)
                if file.flow is None and self._needs_flow and stored.flow(same) is not None:  # a plan file has come
                    self._kept.forget(path, version)
                    file = self._kept.get(path, version, facts, analyse)
                self._add(file)
        self.without_flow.update(stored.without_flow)

    def _measured(
        self, stored: StoredMeasurement, path: str, version: str, same: list[FileKey], partly_measured: frozenset[str]
    ) -> FileAnalysis:
        """Analyse the file at *path*, which ran as the file versions *same*, of equal content."""
        counts = stored.counts(same[0])
        for key in same[1:]:
            counts += stored.counts(key)
        return FileAnalysis(
            path,
            version,
            counts,
            measured_at={path for path, _version in same},
            partly_measured=partly_measured,
            is_optimized=self._is_optimized,
            flow=stored.flow(same) if self._needs_flow else None,
            exclusions=self.exclusions,
        )

    def add_never_imported(self) -> None:
        """Search the scope of the measurement for files that were never imported, and add them to `files`.

        Not added are files without code, files that this Python cannot compile (`not_compiled`), and files of which a
        copy ran (`copies_that_ran`). A file of which a copy is merely installed is added: whether that copy ran is not
        known (`installed_copies`).
        """
        find = NeverImported if self._kept is None else self._kept.never_imported
        self.never_imported = find(self.processes, self.paths)
        self.paths.update(self.never_imported.paths)
        by_version: dict[str, list[str]] = {}
        for file in self.files:
            by_version.setdefault(file.version, []).append(file.path)
        for path in self.never_imported.paths:
            if self._patterns.match(path):
                analyse = partial(
                    FileAnalysis,
                    path,
                    None,
                    is_optimized=self._is_optimized,
                    exclusions=self.exclusions,
                    needs_flow=self._needs_flow,
                )
                file = self._kept.get(path, None, self._is_optimized, analyse) if self._kept else analyse()
                if file.source.reason:
                    self.not_compiled.append(path)
                elif file.source.has_code:
                    if ran_as := copy_that_ran(path, by_version.get(file.version, ())):
                        self.copies_that_ran[path] = ran_as
                        continue
                    if installed := installed_copy(path):
                        self.installed_copies[path] = installed
                    self._add(file)

    def _add(self, file: FileAnalysis) -> None:
        self.files.append(file if self._keeps_lines else file.forget_lines())

    def _other_pythons(self) -> list[str]:
        """Return the minor versions of Python that ran the program, sorted, without the version that runs this."""
        versions = {".".join(process.python.split(".")[:2]) for process in self.processes}
        return sorted(versions - {self.own_python})

    def sorted_files(self, sort: str, unit: str = EVENTS, *, with_branches: bool = False) -> list[FileAnalysis]:
        """Return `files` in the order *sort*, see `FileAnalysis.sort_key` for all arguments."""
        return sorted(
            self.files,
            key=lambda file: file.sort_key(sort, unit, with_branches=with_branches),
            reverse=sort == "-file",
        )

    def longest_flush_interval(self, since: float) -> float:
        """Return the longest mean interval between flushes, in seconds, if it makes times after *since* uncertain.

        A flush tells that code ran since the flush before, and not when. Return 0.0 if that makes no difference.
        """
        intervals = [
            (process.updated - process.started) / process.flushes
            for process in self.processes
            if process.flushes > 0 and process.started < since <= process.updated
        ]
        return max((interval for interval in intervals if interval > time.time() - since), default=0.0)
