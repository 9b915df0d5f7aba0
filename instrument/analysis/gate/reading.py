"""Reads data files as the work of a run.

A StoredMeasurement and patterns of files come in. A Reading goes out, with a RunWork.

Comprehensions and generator expressions are parts of the function that has them (`flow.derived.owners`).
"""

from __future__ import annotations

from collections import Counter

from instrument.analysis.contexts.names import context_of
from instrument.analysis.gate.work import FunctionPlace, Part, RunWork, Work
from instrument.analysis.local_paths import local_paths
from instrument.analysis.source_file import CURRENT, SourceFile
from instrument.errors import ConservationError, DataError
from instrument.flow.derived.code_facts import InstructionClass
from instrument.flow.derived.owners import owner_of
from instrument.model.flow_counts import FlowCounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from instrument.analysis.patterns import FilePatterns
    from instrument.data.contexts.reading import Pattern
    from instrument.data.query import StoredMeasurement
    from instrument.flow.derived.shape import Position
    from instrument.model.measurement import FileKey
    from instrument.plans.group_plans import GroupPlans

#: The compiler adds these behind the last line of a loop or function, and they get that line.
_CLASSES_OF_NEIGHBOURS = (InstructionClass.GOTO, InstructionClass.RETURN)
#: The compiler chooses one or the other by the place of the target. So both are one class in shapes.
_CLASSES_IN_SHAPES = {
    InstructionClass.IF_FALSE: InstructionClass.IF_TRUE,
    InstructionClass.IF_NOT_NONE: InstructionClass.IF_NONE,
}


class Reading:
    """The work of the run in *stored*, in the files that *patterns* choose: `work`, a RunWork.

    `reasons` says why some of the work is not known, by the path of the file, or by the name of a plan file. `paths`
    has the paths of all files, whether *patterns* choose them or not.
    """

    def __init__(self, stored: StoredMeasurement, patterns: FilePatterns) -> None:
        self.reasons: dict[str, str] = {}
        self._stored, self._contexts = stored, stored.contexts()
        #: The code objects of each function, with their plans.
        self._codes: dict[FunctionPlace, list[tuple[GroupPlans, int]]] = {}
        self.work = RunWork({}, versions={}, shapes={}, ids={}, parts={}, tests=self._tests())
        keys = stored.files()
        local = local_paths(keys)
        by_path: dict[str, list[FileKey]] = {}
        for key in keys:
            by_path.setdefault(local.get(key, key[0]), []).append(key)
        self.paths = sorted(by_path)
        for path, same in by_path.items():
            if patterns.match(path):
                try:
                    self._read_file(path, same)
                except (ConservationError, DataError) as error:
                    self.reasons[path] = f"{error}"
        self.reasons.update(self._contexts.reasons)

    def _tests(self) -> dict[str, Counter[int]]:
        """Return for each test how often it has each pattern, in all of its phases together."""
        tests: dict[str, Counter[int]] = {}
        for name, numbers in self._contexts.all_numbers():
            context = context_of(name)
            if context.is_test:
                tests.setdefault(context.name, Counter()).update(numbers)
        return tests

    def _read_file(self, path: str, keys: list[FileKey]) -> None:
        """Add the work in the file versions *keys*, which are at *path* on this machine.

        Raise DataError if it is not known, and ConservationError if it is impossible.
        """
        versions = {version for _path, version in keys}
        if len(versions) > 1:
            raise DataError("its source changed between the runs in these data; name data of one version")
        file = _FileWork(path)
        for key in keys:
            probes = self._stored.probes(key)
            if not probes:
                self._stored.flow([key])
                raise DataError(self._stored.without_flow[key[0]])
            for plans, counts in probes:
                file.add_code(plans)
                for code, flow in plans.flows_by_code(counts):
                    file.add_work(plans, code, flow)
            for pattern in self._stored.patterns(self._contexts, key):
                file.add_code(pattern.plans)
                file.add_pattern(pattern)
        self.work.versions[path] = versions.pop()
        self.work.functions.update(file.functions)
        self.work.parts.update(file.parts)
        self._codes.update(file.codes)

    def leave_out(self, path: str, reason: str) -> None:
        """Remove the work of the file at *path*, for this *reason*."""
        work = self.work
        self.reasons[path] = reason
        del work.versions[path]
        for places in (work.functions, work.shapes, work.ids, self._codes):
            for place in [place for place in places if place.path == path]:
                del places[place]
        for number in [number for number, part in work.parts.items() if part.place.path == path]:
            del work.parts[number]

    def find_shapes(self, paths: Iterable[str]) -> None:
        """Find the shapes of all lines in the files *paths*, and the ids of functions as far as the source is here."""
        wanted = {*paths}
        for place, codes in self._codes.items():
            if place.path in wanted:
                shapes: dict[int, Hashable] = {}
                for plans, code in codes:
                    shapes.update(line_shapes(plans, code))
                self.work.shapes[place] = dict(sorted(shapes.items()))
        for path in wanted & self.work.versions.keys():
            source = SourceFile(path, self.work.versions[path])
            if source.state == CURRENT:
                ids = {FunctionPlace(path, *function): text for function, text in source.function_ids().items()}
                self.work.ids.update(ids)


class _FileWork:
    """The work in the file at *path*: functions, parts of tests and code objects, as in RunWork and Reading."""

    def __init__(self, path: str) -> None:
        self.functions: dict[FunctionPlace, Work] = {}
        self.parts: dict[int, Part] = {}
        self.codes: dict[FunctionPlace, list[tuple[GroupPlans, int]]] = {}
        self._path = path
        #: The function that each code object of a plan is part of, and whether the code object is a function itself.
        self._owners: dict[int, dict[int, tuple[FunctionPlace, bool]]] = {}

    def add_code(self, plans: GroupPlans) -> None:
        """Add the functions of *plans*, without work."""
        if id(plans) in self._owners:
            return
        functions = {code: (name, line) for code, name, line in plans.functions()}
        names = {*functions.values()}
        owners = self._owners[id(plans)] = {}
        for code, function in functions.items():
            owner = owner_of(function, names)
            place = FunctionPlace(self._path, *owner)
            owners[code] = place, owner == function
            self.functions.setdefault(place, Work())
            self.codes.setdefault(place, []).append((plans, code))

    def add_work(self, plans: GroupPlans, code: int, flow: FlowCounts) -> None:
        """Add *flow*, that of the code object *code* of *plans*."""
        place, is_function = self._owner_of(plans, code)
        self.functions[place].add(_work_of(flow, is_function))

    def add_pattern(self, pattern: Pattern) -> None:
        """Add *pattern* as a part of tests."""
        plans, code, counts = pattern.plans, pattern.code, pattern.counts
        place, is_function = self._owner_of(plans, code)

        def derive() -> Work:
            flow = FlowCounts()
            plans.add_flow_of_code(flow, code, counts)
            return _work_of(flow, is_function)

        self.parts[pattern.number] = Part(place, plans.instructions_of_code(code, counts), derive)

    def _owner_of(self, plans: GroupPlans, code: int) -> tuple[FunctionPlace, bool]:
        """Return the function that the code object *code* of *plans* is part of, and whether it is the function."""
        owners = self._owners[id(plans)]
        if code not in owners:
            raise DataError(f"its plan has no function with the number {code}")
        return owners[code]


def _work_of(flow: FlowCounts, is_function: bool) -> Work:
    """Return the Work of a code object whose *flow* is given, without calls unless it *is_function*."""
    calls = sum(function.calls for function in flow.functions.values()) if is_function else 0
    arcs = {(line, target): n for (_function, line, target), n in flow.arcs.items()}
    return Work(calls, flow.instructions, flow.executions, arcs)


def line_shapes(plans: GroupPlans, code: int) -> dict[int, Hashable]:
    """Return the shape of each line of the code object *code* of *plans*: see `RunWork.shapes`.

    The shape has the class of each instruction, and its place relative to the first column of the line. So it stays the
    same if the line moves, or is indented more. It has no end that is on another line: instructions of `for` and `with`
    span the lines below, which may change.
    """
    instructions: dict[int, list[tuple[int, Position]]] = {}
    for class_, place in plans.instruction_places(code):
        instructions.setdefault(place[0], []).append((_CLASSES_IN_SHAPES.get(class_, class_), place))
    shapes: dict[int, Hashable] = {}
    for line, found in instructions.items():
        first = min((column for _, (_, column, _, _) in found if column >= 0), default=0)
        parts = [
            (class_, column - first, end_column - first if end_line == line else None)
            for class_, (_, column, end_line, end_column) in found
            if class_ not in _CLASSES_OF_NEIGHBOURS
        ]
        shapes[line] = tuple(dict.fromkeys(parts))
    return shapes
