"""Difference: the counts of a measurement B less the counts of an earlier measurement A.

Two stored measurements and patterns of files come in. Counts of different versions of a file are never compared.
"""

from __future__ import annotations

from instrument.analysis.local_paths import local_paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from instrument.analysis.patterns import FilePatterns
    from instrument.data.query import StoredMeasurement
    from instrument.model.measurement import FileKey, FunctionKey


class FileDifference:
    """The difference of one version of a source file: the line counts in B less the line counts in A.

    - `lines`: maps each line that ran after A to how often it ran. `hits` is the sum of these numbers.
    - `fewer`: the lines that ran less often in B than in A. If there are any, B is no later state of A.
    - `only_in`: "A" or "B" if only that measurement has this version, and the other one has another version. Then
      nothing is compared. Otherwise it is an empty text.
    """

    def __init__(
        self, path: str, version: str, before: dict[int, int], after: dict[int, int], *, only_in: str = ""
    ) -> None:
        """*before* and *after* map lines to their counts in A and in B."""
        self.path = path
        self.version = version
        self.only_in = only_in
        growth = {line: after.get(line, 0) - before.get(line, 0) for line in sorted(before.keys() | after.keys())}
        self.lines = {line: count for line, count in growth.items() if count > 0}
        self.fewer = [line for line, count in growth.items() if count < 0]
        self.hits = sum(self.lines.values())


class Difference:
    """The difference of two stored measurements, in the files that *patterns* choose.

    `all_files` has all files, sorted. `files` has the compared ones of them, and `not_compared` the others. `given_out`
    maps file versions of B to functions that were given out. The other attributes are those of `Analysis`, for both
    measurements where that makes sense.
    """

    def __init__(self, before: StoredMeasurement, after: StoredMeasurement, patterns: FilePatterns) -> None:
        self.refused = [*before.refused, *after.refused]
        self.unwritten = [*before.unwritten, *after.unwritten]
        self.local = local_paths([*before.files(), *after.files()])
        earlier, later = self._by_local_path(before), self._by_local_path(after)
        self.paths = {path for path, _version in (*earlier, *later)}
        self.all_files = [
            _compare(key, before, after, earlier, later)
            for key in sorted(earlier.keys() | later.keys())
            if patterns.match(key[0])
        ]
        self.files = [file for file in self.all_files if not file.only_in]
        self.not_compared = [file for file in self.all_files if file.only_in]
        self.given_out: dict[FileKey, dict[FunctionKey, set[str]]] = {
            key: given_out
            for key in after.files()
            if (given_out := after.counts(key).given_out) and patterns.match(key[0])
        }
        self.not_measured = [each for each in after.not_measured() if patterns.match(each[0])]

    def _by_local_path(self, stored: StoredMeasurement) -> dict[FileKey, list[FileKey]]:
        """Return the file versions of *stored* by local path and version."""
        by_local_path: dict[FileKey, list[FileKey]] = {}
        for path, version in stored.files():
            local_key = self.local.get((path, version), path), version
            by_local_path.setdefault(local_key, []).append((path, version))
        return by_local_path

    def has_comparison(self) -> bool:
        """Return whether any file could be compared: B is a later state of A there, or has lines that ran."""
        return any(file.lines or not file.fewer for file in self.files)


def _compare(
    key: FileKey,
    before: StoredMeasurement,
    after: StoredMeasurement,
    earlier: dict[FileKey, list[FileKey]],
    later: dict[FileKey, list[FileKey]],
) -> FileDifference:
    """Return the difference of the file version *key*: counts in *after* less those in *before*.

    *earlier* and *later* have the file versions of *before* and *after*, by local path and version.
    """
    path, version = key
    other_measurement = earlier if key in later else later
    other_versions = {other for other_path, other in other_measurement if other_path == path}
    # A version that only B has is new there, if B has all versions that A has.
    is_new = key in later and all((path, other) in later for other in other_versions)
    if (key not in earlier or key not in later) and other_versions and not is_new:
        return FileDifference(path, version, {}, {}, only_in="B" if key in later else "A")
    return FileDifference(
        path, version, _line_counts(before, earlier.get(key, ())), _line_counts(after, later.get(key, ()))
    )


def _line_counts(stored: StoredMeasurement, keys: Iterable[FileKey]) -> dict[int, int]:
    """Return how often each line ran, the sum over *keys*, which are one file version at several paths."""
    total: dict[int, int] = {}
    for key in keys:
        for line, count in stored.counts(key).lines.counts().items():
            if line:  # the code of an empty file runs on line 0
                total[line] = total.get(line, 0) + count
    return total
