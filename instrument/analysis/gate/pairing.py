"""Pairs the files, functions and lines of two runs, which may have run different versions of the sources.

Two RunWorks come in; a Pairing goes out. A function is paired by its stable id, or by file and qualified name. If it
has moved or has another name, it is paired by the shapes of its lines. Lines are paired by their shapes, too. So a line
that has moved is still the same line.
"""

from __future__ import annotations

import os
from difflib import SequenceMatcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
    from typing import TypeAlias

    from instrument.analysis.gate.work import FunctionPlace, RunWork

    #: The lines of a function, each with its shape.
    Shapes: TypeAlias = Sequence[tuple[int, Hashable]]

#: A function with fewer lines is not recognised by these alone: many functions look alike.
_FEWEST_LINES = 3


class Pairing:
    """The pairs of the functions of two runs, *before* and *after*.

    - `functions`: the function of *before* for each function of *after* that has one.
    - `files`: the path in *before* for each path in *after* that has one.
    """

    def __init__(self, before: RunWork, after: RunWork) -> None:
        self._before, self._after = before, after
        self.files = pair_files(before.versions, after.versions)
        self.functions = _pair_functions(before, after, self.files)

    def lines(self, place: FunctionPlace) -> dict[int, int] | None:
        """Return the line of *before* for each line of the function at *place* that has one.

        Return None if all lines are the same: the file did not change. *place* is a key of `functions`.
        """
        earlier = self.functions[place]
        if earlier[1:] == place[1:] and _is_unchanged(self._before, self._after, earlier.path, place.path):
            return None
        return pair_lines(shapes_of(self._before, earlier), shapes_of(self._after, place))

    def changed_lines(self, place: FunctionPlace, lines: Mapping[int, int]) -> set[int]:
        """Return the lines of the function at *place* whose pair in *lines*, a result of `lines`, has another shape."""
        before, after = self._before.shapes.get(self.functions[place], {}), self._after.shapes.get(place, {})
        return {line for line, earlier in lines.items() if before.get(earlier) != after.get(line)}


def changed_files(before: RunWork, after: RunWork) -> tuple[list[str], list[str]]:
    """Return the paths of the files of *before*, and of *after*, but for unchanged files."""
    files = pair_files(before.versions, after.versions)
    same = {path: earlier for path, earlier in files.items() if _is_unchanged(before, after, earlier, path)}
    return sorted(before.versions.keys() - {*same.values()}), sorted(after.versions.keys() - same.keys())


def _is_unchanged(before: RunWork, after: RunWork, path: str, path_after: str) -> bool:
    """Return whether the file at *path* is the same version as the file that *after* has at *path_after*."""
    version = before.versions.get(path, "")
    return version.startswith("sha256:") and version == after.versions.get(path_after)


def shapes_of(run: RunWork, place: FunctionPlace) -> Shapes:
    """Return the lines of the function at *place* with their shapes; lines of which no shape is known have none."""
    shapes = dict(run.shapes.get(place, ()))
    work = run.functions.get(place)
    for line in sorted({*work.instructions, *work.executions} - shapes.keys()) if work else ():
        shapes[line] = None
    return sorted(shapes.items(), key=lambda item: item[0])


def pair_files(before: Iterable[str], after: Iterable[str]) -> dict[str, str]:
    """Return the path of *before* for each path of *after* that has one.

    Equal paths are pairs. Other paths, as of two checkouts, are pairs if their ends are more alike than those of all
    others.
    """
    pairs = {path: path for path in {*before} & {*after}}
    earlier, later = sorted({*before} - pairs.keys()), sorted({*after} - pairs.keys())
    best_of_later, best_of_earlier = _best_matches(later, earlier), _best_matches(earlier, later)
    mutual = {path: match for path, match in best_of_later.items() if best_of_earlier.get(match) == path}
    return pairs | mutual


def _best_matches(paths: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """Return for each of *paths* the path of *others* with which it has most parts in common at its end.

    If several have as many, there is none.
    """
    by_name: dict[str, list[str]] = {}
    for other in others:
        by_name.setdefault(os.path.basename(other), []).append(other)
    matches = {}
    for path in paths:
        parts = {other: _n_common_parts(path, other) for other in by_name.get(os.path.basename(path), ())}
        most = max(parts.values(), default=0)
        best = [other for other, n in parts.items() if n == most]
        if len(best) == 1:
            matches[path] = best[0]
    return matches


def _n_common_parts(path: str, other: str) -> int:
    """Return how many parts at their ends *path* and *other* have in common."""
    n = 0
    for part, other_part in zip(reversed(path.split(os.sep)), reversed(other.split(os.sep))):
        if part != other_part:
            break
        n += 1
    return n


def _pair_functions(before: RunWork, after: RunWork, files: Mapping[str, str]) -> dict[FunctionPlace, FunctionPlace]:
    """Return the function of *before* for each function of *after* that has one; *files* are the pairs of files."""
    pairs: dict[FunctionPlace, FunctionPlace] = {}
    earlier, later = sorted(before.functions), sorted(after.functions)
    own_files = {path: path for path in before.versions}
    unchanged_after = {path for path, other in files.items() if _is_unchanged(before, after, other, path)}
    unchanged_before = {files[path] for path in unchanged_after}

    def name_and_line_of(run: RunWork, place: FunctionPlace) -> Hashable:
        """Return name and line of a function whose file did not change: they are the same in both runs."""
        return place[1:] if place.path in (unchanged_after if run is after else unchanged_before) else None

    for key, is_in_file in (
        (name_and_line_of, True),
        (_id_of, True),
        (_name_and_shape_of, True),
        (_name_of, True),
        (_id_of, False),
        (_last_name_and_shape_of, False),
        (_shape_of, False),
    ):
        groups_before = _grouped(before, earlier, key, own_files if is_in_file else None)
        groups_after = _grouped(after, later, key, files if is_in_file else None)
        for value in groups_before.keys() & groups_after.keys():
            ones, others = groups_before[value], groups_after[value]
            # In other files, and by shape alone, only a function that is the single one of its kind is recognised.
            if is_in_file or len(ones) == len(others) == 1:
                pairs.update(zip(others, ones))
        paired = {*pairs.values()}
        earlier = [place for place in earlier if place not in paired]
        later = [place for place in later if place not in pairs]
    return pairs


def _grouped(
    run: RunWork,
    places: Iterable[FunctionPlace],
    key: Callable[[RunWork, FunctionPlace], Hashable],
    files: Mapping[str, str] | None,
) -> dict[Hashable, list[FunctionPlace]]:
    """Return *places* of *run* by *key*, and by the pair of their file in *files* unless that is None.

    A function whose key is None, or whose file has no pair, is left out.
    """
    groups: dict[Hashable, list[FunctionPlace]] = {}
    for place in places:
        value = key(run, place)
        if value is not None and (files is None or place.path in files):
            groups.setdefault((None if files is None else files[place.path], value), []).append(place)
    return groups


def _id_of(run: RunWork, place: FunctionPlace) -> Hashable:
    return run.ids.get(place)


def _name_of(_run: RunWork, place: FunctionPlace) -> Hashable:
    return place.name


def _name_and_shape_of(run: RunWork, place: FunctionPlace) -> Hashable:
    shape = run.shapes.get(place)
    return (place.name, tuple(shape.values())) if shape else None


def _last_name_and_shape_of(run: RunWork, place: FunctionPlace) -> Hashable:
    shape = _shape_of(run, place)
    return None if shape is None else (place.name.rpartition(".")[2], shape)


def _shape_of(run: RunWork, place: FunctionPlace) -> Hashable:
    """Return the shapes of the lines of the function at *place*; None if they are too few to recognise it."""
    shape = run.shapes.get(place, {})
    return tuple(shape.values()) if len(shape) >= _FEWEST_LINES else None


def pair_lines(before: Shapes, after: Shapes) -> dict[int, int]:
    """Return the line of *before* for each line of *after* that has one. Both have lines with their shapes, in order.

    Lines of equal shape in the same order are pairs. So are lines of equal shape that have moved. At last, changed
    lines at the same place are pairs, if as many lines were there before.
    """
    ones, others = [shape for _line, shape in before], [shape for _line, shape in after]
    pairs: dict[int, int] = {}
    replaced: list[tuple[range, range]] = []
    # The matcher is slow for long functions, of which a change leaves most lines as they are.
    n_start = _n_equal(ones, others)
    n_end = _n_equal(ones[n_start:][::-1], others[n_start:][::-1])
    end, other_end = len(ones) - n_end, len(others) - n_end
    pairs.update(zip(range(n_start), range(n_start)))
    pairs.update(zip(range(other_end, len(others)), range(end, len(ones))))
    matcher = SequenceMatcher(None, ones[n_start:end], others[n_start:other_end], autojunk=False)
    for tag, first, last, other_first, other_last in matcher.get_opcodes():
        here, there = range(n_start + first, n_start + last), range(n_start + other_first, n_start + other_last)
        if tag == "equal":
            pairs.update(zip(there, here))
        elif tag == "replace":
            replaced.append((here, there))
    paired = {*pairs.values()}
    moved: dict[Hashable, list[int]] = {}
    for index in range(n_start, end):
        if index not in paired:
            moved.setdefault(ones[index], []).append(index)
    for index in range(n_start, other_end):
        if index not in pairs and moved.get(others[index]):
            pairs[index] = moved[others[index]].pop(0)
    paired = {*pairs.values()}
    for here, there in replaced:
        left = [index for index in here if index not in paired]
        left_there = [index for index in there if index not in pairs]
        if len(left) == len(left_there):
            pairs.update(zip(left_there, left))
    return {after[other][0]: before[one][0] for other, one in pairs.items()}


def _n_equal(ones: Sequence[Hashable], others: Sequence[Hashable]) -> int:
    """Return how many items at the start of *ones* and *others* are equal."""
    n = 0
    for one, other in zip(ones, others):
        if one != other:
            break
        n += 1
    return n
