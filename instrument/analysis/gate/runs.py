"""Compares runs: `Run` has all that the gate needs of stored data, and `compare` returns the Verdict about two runs."""

from __future__ import annotations

import importlib.util

from instrument.analysis.gate.comparison import Comparison
from instrument.analysis.gate.conditions import Conditions, differences, small_differences
from instrument.analysis.gate.pairing import changed_files, pair_files
from instrument.analysis.gate.reading import Reading
from instrument.analysis.gate.stability import Unstable, is_same_code
from instrument.analysis.gate.verdict import Verdict
from instrument.analysis.source_file import read_source, version_of
from instrument.errors import DataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from instrument.analysis.gate.bounds import Bounds
    from instrument.analysis.gate.work import FunctionPlace, RunWork
    from instrument.analysis.patterns import FilePatterns
    from instrument.data.query import StoredMeasurement


class Run:
    """The run in *stored*, which is called *name* in messages, in the files that *patterns* choose.

    - `work`: its RunWork, and `paths`: the paths of all files, whether *patterns* choose them or not.
    - `conditions`: its Conditions.
    - `gaps`: sentences about work that is not known.

    Raise DataError if no work is known.
    """

    def __init__(self, stored: StoredMeasurement, patterns: FilePatterns, name: str) -> None:
        self.name = name
        self._reading = Reading(stored, patterns)
        self.work: RunWork = self._reading.work
        self.paths = self._reading.paths
        self.conditions = Conditions(stored.processes)
        self.gaps = [f"{name}: not compared: {thing}: {why}" for thing, why in self._reading.reasons.items()]
        n_open = len(stored.running) + len(stored.cut_off)
        if n_open:
            self.gaps.append(
                f"{name}: the last counts of {n_open} process{'' if n_open == 1 else 'es'} are missing, which still "
                "ran or were killed"
            )
        if not self.work.functions:
            reason = f": {self.gaps[0]}" if self.gaps else "; they have no counted file that the patterns choose"
            raise DataError(f"the data of {name} cannot be compared{reason}")

    def unknown_files(self) -> list[str]:
        """Return the paths of the files whose work is not known."""
        return [path for path in self._reading.reasons if path in self.paths]

    def leave_out(self, path: str, other: Run) -> None:
        """Leave out the file at *path* as a file whose work is not known: that in the run *other* is not."""
        if path in self.work.versions:
            reason = f"its work in {other.name} is not known"
            self._reading.leave_out(path, reason)
            self.gaps.append(f"{self.name}: not compared: {path}: {reason}")

    def find_shapes(self, paths: Sequence[str]) -> None:
        """Find the shapes of the lines in the files *paths*."""
        self._reading.find_shapes(paths)


class Texts:
    """The source texts of lines of *work*, as far as the files on this machine are the versions that ran."""

    def __init__(self, work: RunWork) -> None:
        self._versions = work.versions
        self._lines: dict[str, list[str]] = {}

    def unknown(self, paths: Iterable[str]) -> list[str]:
        """Return each of *paths* whose source is not the version that ran."""
        return [path for path in sorted({*paths}) if not self._lines_of(path)]

    def __call__(self, place: FunctionPlace, line: int) -> str:
        """Return the text of *line* in the file of *place*, an empty text if it is not known."""
        lines = self._lines_of(place.path)
        return lines[line - 1] if 0 < line <= len(lines) else ""

    def _lines_of(self, path: str) -> list[str]:
        if path not in self._lines:
            self._lines[path] = self._read(path)
        return self._lines[path]

    def _read(self, path: str) -> list[str]:
        try:
            data = read_source(path)
            if version_of(data) == self._versions.get(path):
                return importlib.util.decode_source(data).split("\n")
        except (OSError, ValueError, SyntaxError, LookupError):
            pass
        return []


def compare(
    base: Run,
    head: Run,
    unit: str,
    bounds: Bounds,
    *,
    reruns: Sequence[Run] = (),
    reruns_of_base: Sequence[Run] = (),
    allows_differences: bool = False,
) -> Verdict:
    """Return the Verdict about the growth from *base* to *head* in *unit*, within *bounds*.

    *reruns* are further runs of the code of *base* or *head*; lines and tests that differ between them are left out. If
    both have the same code, these are runs of *head*: its work may have grown because of other files. The caller knows
    that *reruns_of_base* are runs of *base*. Raise DataError if the runs differ in their conditions, unless
    *allows_differences*. Raise it, too, if a rerun is of other code.
    """
    for run, other in ((base, head), (head, base)):
        for path in pair_files(run.unknown_files(), other.paths):
            other.leave_out(path, run)
    notes = [*base.gaps, *head.gaps]
    found = differences(base.conditions, head.conditions)
    if found and not allows_differences:
        raise DataError(
            f"BASE and HEAD cannot be compared: {'; '.join(found)}. Run both alike, or give --compare-different"
        )
    notes += [f"Compared all the same: {sentence}" for sentence in found]
    notes += small_differences(base.conditions, head.conditions)
    reruns_of: dict[str, list[RunWork]] = {base.name: [], head.name: []}
    for further, candidates in ((reruns, (head, base)), (reruns_of_base, (base,))):
        for rerun in further:
            original = _original(rerun, candidates, allows_differences=allows_differences)
            _find_shapes(original, rerun)
            reruns_of[original.name].append(rerun.work)
    _find_shapes(base, head)
    unstable_base = Unstable(base.work, reruns_of[base.name], unit)
    unstable_head = Unstable(head.work, reruns_of[head.name], unit)
    unstable_tests = unstable_base.tests | unstable_head.tests
    comparison = Comparison(
        base.work,
        head.work,
        unit,
        unstable_before=unstable_base.lines,
        unstable_after=unstable_head.lines,
        unstable_tests=unstable_tests,
    )
    texts = Texts(head.work)
    grown = (each.place.path for each in comparison.changes if each.growth(unit).change > 0)
    notes += [
        f"HEAD: the source of {path!r} is not the version that ran, so callers are recognised by numbers only"
        for path in texts.unknown(grown)
    ]
    return Verdict(
        comparison,
        bounds,
        texts,
        unstable_tests=unstable_tests,
        n_reruns=len(reruns) + len(reruns_of_base),
        notes=notes,
    )


def _find_shapes(before: Run, after: Run) -> None:
    paths_before, paths_after = changed_files(before.work, after.work)
    before.find_shapes(paths_before)
    after.find_shapes(paths_after)


def _original(rerun: Run, candidates: Sequence[Run], *, allows_differences: bool) -> Run:
    """Return the first of *candidates* whose code *rerun* has.

    Raise DataError if there is none, or if it ran in other conditions, unless *allows_differences*.
    """
    for run in candidates:
        if is_same_code(run.work, rerun.work):
            found = differences(run.conditions, rerun.conditions)
            if found and not allows_differences:
                raise DataError(f"{rerun.name} is no further run of {run.name}: {'; '.join(found)}")
            return run
    names = " and ".join(sorted(run.name for run in candidates))
    raise DataError(
        f"{rerun.name} is a run of other code than {names}: its source files have other versions; "
        f"name a further run of {'one of the two' if len(candidates) > 1 else names}"
    )
