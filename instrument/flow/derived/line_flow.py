"""Derives the arcs between the lines of a code object, and how often each line began.

A CodeShape and the flow that was Taken come in; `arcs` and `executions` of FlowCounts grow.

An arc is a step of control from one line to another, or out of the code by a return. Instructions that the compiler
adds have no line of their own: control passes them on its way from line to line. If one of them is a conditional jump,
the line from which control comes is not known, and there is no arc. A step of an exception is an arc, to RAISED, if the
instruction raises each time, as that of a `raise` does. Other steps of exceptions are no arcs.

The instructions of one line that control reaches from each other without leaving the line are a *part* of the line. A
part begins as often as control comes to it from another line, from outside of the code, or by an exception. A line
began as often as the part of it that began most often. Parts that are copies of each other add up. So

- a statement over several lines counts once on each, though control comes back to its first line for the call;
- a loop counts its tests, because control comes back from another line each time; `while True` counts its turns;
- a `with` counts once, though control comes back to its line for the exit.

A comprehension counts as its statement. Where it has code of its own, that code begins no line. Where it has not, each
of its lines begins once for each time the comprehension begins.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from instrument.flow.derived.code_facts import InstructionClass
from instrument.model.flow_counts import RAISED, Arc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.flow.derived.shape import CodeShape, Position, Taken, Way
    from instrument.model.flow_counts import FlowCounts
    from instrument.model.measurement import FunctionKey

    #: Tells the parts of a line apart. It has position, class and size of the first instruction, and how many parts
    #: with the same values come before in the same block. Copies are in different blocks, so theirs are equal.
    Signature = tuple[Position | None, int, int, int]

#: Stands for a return in place of an instruction.
_RETURN = -2
#: Control meets no line, or it is not known which.
_UNKNOWN = -1
_COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
#: The most instructions between the one that saves a variable and the FOR_ITER of a comprehension.
_LONGEST_PRELUDE = 12


class _Step:
    """A step of control between lines: from the instruction *source* to the instruction *target*, *flow* times.

    *target* is _RETURN for a return. *source* is _UNKNOWN if control comes from outside or by an exception.
    """

    __slots__ = ("flow", "source", "target")

    def __init__(self, source: int, target: int, flow: int) -> None:
        self.source = source
        self.target = target
        self.flow = flow


def add_arcs_and_executions(counts: FlowCounts, function: FunctionKey, shape: CodeShape, taken: Taken) -> None:
    """Add the arcs of *function*, and the executions of its lines, to *counts*."""
    steps = _Steps(shape, taken)
    lines = shape.own_lines
    for step in steps.steps:
        if step.source < 0:
            continue
        line = lines[step.source]
        target = 0 if step.target == _RETURN else lines[step.target]
        if line is not None and target is not None and line != target:
            _add_arc(counts, Arc(function, line, target), step.flow)
    for way in shape.edges:
        line = lines[way.at] if way.source != shape.outside and shape.is_reachable[way.source] else None
        if line is not None and shape.facts.classes[way.at] == InstructionClass.RAISE:
            _add_arc(counts, Arc(function, line, RAISED), taken.edges[way.number])
    name = shape.facts.name.rpartition(".")[2]
    begun = dict.fromkeys(steps.lines(), 0) if name in _COMPREHENSIONS else _begun(shape, taken, steps)
    for line, count in begun.items():
        counts.executions[line] = counts.executions.get(line, 0) + count


def _add_arc(counts: FlowCounts, arc: Arc, flow: int) -> None:
    counts.arcs[arc] = counts.arcs.get(arc, 0) + flow


class _Steps:
    """All steps between the lines of *shape*, as `steps`. Those within a line are among them if they end a block.

    `segments` has for each block that control can reach its instructions that have lines, in runs of one line.
    """

    def __init__(self, shape: CodeShape, taken: Taken) -> None:
        self._shape = shape
        self.segments = [self._segments_of(block) for block in range(shape.outside)]
        self.steps: list[_Step] = []
        for segments in self.segments:
            for above, below in pairwise(segments):
                self.steps.append(_Step(above[-1], below[0], taken.executed[below[0]]))
        for way in shape.edges:
            if shape.is_reachable[way.source]:
                self._add_way(way, taken.edges[way.number])
        for number, (block, _, _) in enumerate(shape.plan.entries):
            self._add_exception(block, taken.raised_into.get(number, 0))

    def lines(self) -> set[int]:
        """Return all lines that have instructions."""
        lines = self._shape.own_lines
        return {line for segments in self.segments for segment in segments if (line := lines[segment[0]]) is not None}

    def _segments_of(self, block: int) -> list[list[int]]:
        segments: list[list[int]] = []
        lines = self._shape.own_lines
        for index in self._shape.instructions_of(block) if self._shape.is_reachable[block] else ():
            if lines[index] is None:
                continue
            if segments and lines[segments[-1][-1]] == lines[index]:
                segments[-1].append(index)
            else:
                segments.append([index])
        return segments

    def _add_way(self, way: Way, flow: int) -> None:
        shape = self._shape
        if way.is_exception:
            if way.target != shape.outside:
                self._add_exception(way.target, flow)
            return
        if way.target == shape.outside:
            if shape.facts.classes[way.at] != InstructionClass.RETURN:
                return  # the step goes on where the frame is resumed
            target = _RETURN
        else:
            target = self._first_line_at(way.target)
        above = way.source
        if above == shape.outside:
            above = self._block_ended_by(way.at) if way.at >= 0 else above
        if above == shape.outside:
            source = _UNKNOWN
        elif self.segments[above]:
            source = self.segments[above][-1][-1]
        elif len([each for each in shape.ways_out[above] if not each.is_exception]) == 1:
            return  # the steps into that block lead on to the target
        else:
            source = _UNKNOWN
        if target != _UNKNOWN:
            self.steps.append(_Step(source, target, flow))

    def _add_exception(self, block: int, flow: int) -> None:
        """Add the step of an exception to *block*.

        The handler of an await, or of the iterator of an `async for`, is within its line, and gets no step.
        """
        first, _ = self._shape.blocks[block]
        if self._shape.facts.classes[first] != InstructionClass.MAY_RERAISE:
            self.steps.append(_Step(_UNKNOWN, self._first_line_at(block), flow))

    def _block_ended_by(self, index: int) -> int:
        return next(number for number, (_, last) in enumerate(self._shape.blocks) if last == index)

    def _first_line_at(self, block: int) -> int:
        """Return the first instruction with a line that control meets from the start of *block* on, or _RETURN."""
        shape = self._shape
        visited = set()
        while block not in visited:
            visited.add(block)
            if self.segments[block]:
                return self.segments[block][0][0]
            ways = [way for way in shape.ways_out[block] if not way.is_exception]
            if len(ways) != 1:
                return _UNKNOWN
            if ways[0].target == shape.outside:
                return _RETURN if shape.facts.classes[ways[0].at] == InstructionClass.RETURN else _UNKNOWN
            block = ways[0].target
        return _UNKNOWN


# Executions ###########################################################################################################


def _begun(shape: CodeShape, taken: Taken, steps: _Steps) -> dict[int, int]:
    """Return how often each line began."""
    lines, units = shape.own_lines, shape.facts.units
    parts = _Parts()
    for segments in steps.segments:
        for segment in segments:
            parts.join_all([units[index] for index in segment])
    for step in steps.steps:
        if step.source >= 0 and step.target >= 0 and lines[step.source] == lines[step.target]:
            parts.join_all([units[step.source], units[step.target]])
    loops = _comprehensions(shape)
    began: dict[int, dict[Signature, int]] = {line: {} for line in steps.lines()}
    first_with_unit: dict[int, int] = {}
    for index, unit in enumerate(units):
        first_with_unit.setdefault(unit, index)
    signatures = _signatures(shape, {first_with_unit[parts.first_of(unit)] for unit in units})
    for step in steps.steps:
        line = lines[step.target] if step.target >= 0 else None
        stays = step.source >= 0 and lines[step.source] == line
        if line is None or stays or any(step.target in loop for loop in loops):
            continue
        signature = signatures[first_with_unit[parts.first_of(units[step.target])]]
        began[line][signature] = began[line].get(signature, 0) + step.flow
    for loop in loops:
        signature = shape.positions[loop.start], InstructionClass.FOR_ITER, 0, 0
        for line in began.keys() & {*lines[loop.start : loop.stop]}:
            began[line][signature] = max(began[line].get(signature, 0), taken.executed[loop.start - 1])
    return {line: max(signatures.values(), default=0) for line, signatures in began.items()}


def _signatures(shape: CodeShape, firsts: set[int]) -> dict[int, Signature]:
    """Return the Signature of the part that begins with each of the instructions *firsts*.

    A jump or a return gets that of a plain instruction:

    - The jump at the end of a `while True` and the NOP at its start are copies: either stands for one test of the loop.
    - Copies of `return 2` in a `finally` are, too. Some begin with the removal of values from the stack.
    """
    classes, units = shape.facts.classes, shape.facts.units
    signatures: dict[int, Signature] = {}
    n_before: dict[tuple[int, Position | None, int, int], int] = {}
    for first in sorted(firsts):
        class_ = classes[first]
        size = units[first + 1] - units[first] if first + 1 < len(units) else 0
        if class_ in (InstructionClass.GOTO, InstructionClass.RETURN):
            class_, size = InstructionClass.PLAIN, 1
        block = bisect_right(shape.blocks, (first, len(units)))
        key = block, shape.positions[first], class_, size
        n_before[key] = n_before.get(key, -1) + 1
        signatures[first] = *key[1:], n_before[key]
    return signatures


class _Parts:
    """Sets of code units that are joined to parts. Each part is known by its first code unit."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}

    def first_of(self, unit: int) -> int:
        """Return the first code unit of the part that *unit* is in."""
        while (above := self._above.get(unit, unit)) != unit:
            unit = above
        return unit

    def join_all(self, units: list[int]) -> None:
        """Make one part of the parts that *units* are in."""
        first = self.first_of(units[0])
        for unit in units:
            other = self.first_of(unit)
            if other != first:
                first, other = min(first, other), max(first, other)
                self._above[other] = first


def _comprehensions(shape: CodeShape) -> list[range]:
    """Return the instructions of the loops of comprehensions that have no code of their own, outermost ones only."""
    classes = shape.facts.classes
    loops: list[range] = []
    for block, (_, index) in enumerate(shape.blocks):
        if classes[index] != InstructionClass.FOR_ITER or (loops and index in loops[-1]):
            continue
        prelude = classes[max(index - _LONGEST_PRELUDE, 0) : index]
        while prelude and prelude[-1] in (InstructionClass.SWAP, InstructionClass.PLAIN, InstructionClass.GET_ITER):
            prelude = prelude[:-1]
        if prelude and prelude[-1] == InstructionClass.SAVE_LOCAL:
            _, jump = shape.ways_out[block]
            end, _ = shape.blocks[jump.target]
            loops.append(range(index, end))
    return loops
