"""Finds the decisions of a code object, and how each came out.

A CodeShape and the flow that was Taken come in; decisions of FlowCounts grow (`add_decisions`).

A decision belongs to the source, not to the bytecode. The compiler copies code (bodies of `finally`, tests of loops),
and unrolling copies more. Copies have the same position, and add up.

- The place of a decision is the tested expression: the position of the instruction that computes the value. Unlike the
  position of the jump, it is the same on each version.
- `a < b < c` tests a truth for each comparison, and all have the place of the whole. The operand that the
  comparison ends with tells them apart.
- The jumps of a pattern make one decision of kind CASE. The patterns of a `match` stand on lines of their own. So jumps
  belong to one pattern if their positions are nested, or begin on the line on which the one before ends.
- The compiler adds jumps that the source does not have. They stand behind the exit of a `with` that an exception left,
  behind the last `except*`, and in functions for annotations. Since 3.14 they also replace calls of `any`, `all` and
  `tuple` with a generator. These are no decisions.
- Since 3.13 one instruction may load two local variables. Then the place of the second one is not known, and the place
  of the decision is the whole `and` or `or`.
"""

from __future__ import annotations

from instrument.flow.derived.code_facts import InstructionClass
from instrument.model.flow_counts import Decision, DecisionKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.flow.derived.shape import CodeShape, Position, Taken, Way
    from instrument.model.flow_counts import FlowCounts

    #: Differs between decisions with the same place, and orders them: a position, a code unit, or _LAST.
    Distinction = tuple[int, ...]
    #: (place, kind, distinction).
    Found = tuple[Position, str, Distinction]

#: Jumps on the truth of a value.
_TRUTH = (InstructionClass.IF_TRUE, InstructionClass.IF_FALSE)
#: Jumps that are taken if the decision comes out true.
_JUMPS_IF_TRUE = (InstructionClass.IF_TRUE, InstructionClass.IF_NONE)
#: The classes between GET_ITER and FOR_ITER in a comprehension that has no code of its own.
_PRELUDE = (InstructionClass.SWAP, InstructionClass.PLAIN, InstructionClass.SAVE_LOCAL)
#: Comes behind all positions.
_LAST: Distinction = (1 << 62,)


def add_decisions(counts: FlowCounts, shape: CodeShape, taken: Taken) -> None:
    """Add the outcomes of all decisions in the code of *shape* to *counts*."""
    jumps = _Jumps(shape)
    outcomes: dict[Found, list[int]] = {}
    patterns: list[int] = []
    for index in jumps.indices:
        found = jumps.found_at(index)
        if found is None:
            continue
        place, kind, _ = found
        if kind == DecisionKind.CASE:
            patterns.append(index)
            continue
        true, false = jumps.ways_of(index, kind)
        total = outcomes.setdefault(found, [0, 0])
        total[0] += taken.edges[true.number]
        total[1] += taken.edges[false.number]
    numbers: dict[tuple[Position, str], int] = {}
    for place, kind, distinction in sorted(outcomes):
        number = numbers[place, kind] = numbers.get((place, kind), -1) + 1
        counts.add_decision(Decision(*place, kind, number), *outcomes[place, kind, distinction])
    for place, fits, fails in _cases(jumps, taken, patterns):
        counts.add_decision(Decision(*place, DecisionKind.CASE, 0), fits, fails)


class _Jumps:
    """The conditional jumps of *shape* that control can reach: `indices`, in order."""

    def __init__(self, shape: CodeShape) -> None:
        self.shape = shape
        self.indices: list[int] = []
        self._ways: dict[int, tuple[Way, Way]] = {}  # by jump: if it is not taken, if it is taken
        for block, (_, last) in enumerate(shape.blocks):
            if shape.is_conditional(last) and shape.is_reachable[block]:
                self.indices.append(last)
                falls, jumps = shape.ways_out[block]
                self._ways[last] = falls, jumps
        self._first_with_unit: dict[int, int] = {}
        for index, unit in enumerate(shape.facts.units):
            self._first_with_unit.setdefault(unit, index)
        self._added = self._jumps_behind_with()
        self._replaced_calls = self._positions_of_replaced_calls()

    def _jumps_behind_with(self) -> frozenset[int]:
        """Return the code units of the jumps that ask whether the exit of a `with` suppresses an exception."""
        facts = self.shape.facts
        added = set()
        exit_ = facts.classes.find(InstructionClass.WITH_EXIT)
        while exit_ >= 0:
            index = exit_
            while index < len(facts.classes) and facts.classes[index] not in _TRUTH:
                index += 1
            if index < len(facts.classes):
                added.add(facts.units[index])
            exit_ = facts.classes.find(InstructionClass.WITH_EXIT, exit_ + 1)
        return frozenset(added)

    def _positions_of_replaced_calls(self) -> frozenset[Position]:
        """Return the positions of the names `any`, `all` and `tuple` in calls that the compiler has replaced by loops.

        All instructions of such a loop have that position. They begin with a test whether the name means the builtin.
        A pattern compares in the same way, but its position is not that of the instruction before.
        """
        classes, positions = self.shape.facts.classes, self.shape.positions
        test = bytes((InstructionClass.COPY, InstructionClass.PLAIN, InstructionClass.COMPARE))
        found = set()
        index = classes.find(test, 1)
        while index >= 0:
            position = positions[index]
            if position is not None and [position] * 3 == [positions[index - 1], *positions[index + 1 : index + 3]]:
                found.add(position)
            index = classes.find(test, index + 1)
        return frozenset(found)

    def found_at(self, index: int) -> Found | None:
        """Return the decision of the jump *index*; None if the source has none."""
        shape = self.shape
        unit = shape.facts.units[index]
        index = self._first_with_unit[unit]  # copies may stand behind other instructions
        if unit in self._added or index < 2 or shape.own_lines[index] is None:
            return None
        position = self._position(index)
        if position in self._replaced_calls:
            return None
        if position[1] < 0:  # columns are not known
            return position, self._kind_by_classes(index), (unit,)
        kind = shape.facts.classes[index]
        if kind == InstructionClass.FOR_ITER:
            return self._loop(index), DecisionKind.LOOP, _LAST
        if kind in _TRUTH:
            return self._test(index)
        return self._none_test(index)

    def ways_of(self, index: int, kind: str) -> tuple[Way, Way]:
        """Return the Ways by which the decision of *kind* at the jump *index* comes out true, and false."""
        falls, jumps = self._ways[index]
        class_ = self.shape.facts.classes[index]
        jumps_if_true = class_ in _JUMPS_IF_TRUE
        if kind == DecisionKind.EXCEPT or (kind == DecisionKind.CASE and self._tests_result(index)):
            jumps_if_true = class_ in (InstructionClass.IF_TRUE, InstructionClass.IF_NOT_NONE)
        return (jumps, falls) if jumps_if_true else (falls, jumps)

    def _tests_result(self, index: int) -> bool:
        """Return whether the pattern fits at *index* if the result of a match is not None."""
        classes = self.shape.facts.classes
        index = self._first_with_unit[self.shape.facts.units[index]]
        return classes[index - 2 : index] == bytes((InstructionClass.MATCH, InstructionClass.COPY))

    def _position(self, index: int) -> Position:
        position = self.shape.positions[index]
        assert position is not None
        return position

    def _position_within(self, index: int, whole: Position) -> Position:
        """Return the position of the instruction *index* if it is a part of *whole*, else *whole*."""
        position = self.shape.positions[index]
        return whole if position is None or not _is_part(position, whole) else position

    def _kind_by_classes(self, index: int) -> str:
        """Return the kind of the decision at *index* as far as it does not depend on positions."""
        classes = self.shape.facts.classes
        before = classes[max(index - 3, 0) : index]
        if classes[index] == InstructionClass.FOR_ITER:
            return DecisionKind.LOOP
        if InstructionClass.EXCEPTION_MATCH in before or InstructionClass.GROUP_MATCH in before:
            return DecisionKind.EXCEPT
        return DecisionKind.TEST if classes[index] in _TRUTH else DecisionKind.NONE

    def _loop(self, index: int) -> Position:
        """Return the place of the loop whose FOR_ITER is at *index*: the expression behind `in`."""
        classes = self.shape.facts.classes
        above = index - 1
        while above > 1 and classes[above] in _PRELUDE:  # of a comprehension
            above -= 1
        position = self._position(index)
        return self._position_within(above - 1, position) if classes[above] == InstructionClass.GET_ITER else position

    def _test(self, index: int) -> Found | None:
        classes = self.shape.facts.classes
        above = index - 1
        has_conversion = classes[above] == InstructionClass.TO_BOOL
        above -= has_conversion
        if classes[above] == InstructionClass.EXCEPTION_MATCH:
            return self._position_within(above - 1, self._position(above)), DecisionKind.EXCEPT, _LAST
        if classes[above] == InstructionClass.MATCH:
            return self._position(index), DecisionKind.CASE, _LAST
        is_value = classes[above] == InstructionClass.COPY
        above -= is_value
        if classes[above] == InstructionClass.COMPARE:
            whole = self.shape.positions[above]
            assert whole is not None
            if classes[above - 2 : above] == bytes((InstructionClass.SWAP, InstructionClass.COPY)):
                return whole, DecisionKind.TEST, self._position_within(above - 3, whole)
            begins = above >= 3 and classes[above - 3] == InstructionClass.RESUME
            if begins and self.shape.positions[above - 2] == whole:
                return None  # a function for annotations asks for the form that its caller wants
            # A pattern compares with a value, and has the position of the value.
            if self.shape.positions[above - 1] == whole and not is_value:
                return whole, DecisionKind.CASE, _LAST
            return whole, DecisionKind.TEST, _LAST
        if is_value:
            return self._position_within(above, self._position(above + 1)), DecisionKind.TEST, _LAST
        # A function for annotations asks for each one whether its statement was executed, at the position of the whole.
        is_annotation = self.shape.facts.name.endswith("__annotate__")
        if is_annotation and self.shape.positions[above - 2] == self.shape.positions[index]:
            return None
        if has_conversion:
            return self._position(index - 1), DecisionKind.TEST, _LAST
        if classes[above] == InstructionClass.TWO_IN_ONE or self.shape.positions[above] is None:
            return self._position(index), DecisionKind.TEST, _LAST
        return self._position(above), DecisionKind.TEST, _LAST

    def _none_test(self, index: int) -> Found | None:
        """Return the decision of a jump that tests whether a value is None."""
        classes = self.shape.facts.classes
        here, above = self._position(index), self.shape.positions[index - 1]
        if classes[index - 1] == InstructionClass.COPY:
            if classes[index - 2] == InstructionClass.RAISE_GROUP:
                return None
            if classes[index - 2] == InstructionClass.GROUP_MATCH:
                return self._position_within(index - 3, self._position(index - 2)), DecisionKind.EXCEPT, _LAST
            return here, DecisionKind.CASE, _LAST
        if above is None or classes[index - 1] == InstructionClass.TWO_IN_ONE:
            return here, DecisionKind.NONE, _LAST
        # The last pattern of a `match` tests the subject itself, which stands above the pattern.
        if above[2:] <= here[:2]:
            return here, DecisionKind.CASE, _LAST
        return above, DecisionKind.NONE, _LAST


def _is_part(position: Position, whole: Position) -> bool:
    return whole[:2] <= position[:2] and position[2:] <= whole[2:] and position != whole


# Patterns #############################################################################################################


def _cases(jumps: _Jumps, taken: Taken, patterns: list[int]) -> list[tuple[Position, int, int]]:
    """Return (place, how often it fits, how often not) for each pattern, given the jumps of all *patterns*."""
    cases = []
    for place, members in _grouped(jumps, patterns):
        true = false = 0
        for index in members:
            fits, fails = jumps.ways_of(index, DecisionKind.CASE)
            if _next_jump(jumps.shape, fits) not in members:
                true += taken.edges[fits.number]
            if _next_jump(jumps.shape, fails) not in members:
                false += taken.edges[fails.number]
        cases.append((place, true, false))
    return cases


def _grouped(jumps: _Jumps, patterns: list[int]) -> list[tuple[Position, frozenset[int]]]:
    """Return the place and the jumps of each pattern."""
    groups: list[tuple[Position, set[int]]] = []
    for position, index in sorted((jumps.shape.positions[index] or (0, 0, 0, 0), index) for index in patterns):
        if groups:
            (line, column, end_line, end_column), members = groups[-1]
            if position[0] <= end_line:
                groups[-1] = ((line, column, *max((end_line, end_column), position[2:])), members)
                members.add(index)
                continue
        groups.append((position, {index}))
    return [(place, frozenset(members)) for place, members in groups]


def _next_jump(shape: CodeShape, way: Way) -> int:
    """Return the conditional jump to which *way* leads; -1 if control goes back or leaves the code before it."""
    units = shape.facts.units
    start = units[way.at]
    block = way.target
    while block != shape.outside:
        first, last = shape.blocks[block]
        if units[first] <= start:
            return -1
        if shape.is_conditional(last):
            return last
        ways = [each for each in shape.ways_out[block] if not each.is_exception]
        if len(ways) != 1:
            return -1
        start, block = units[last], ways[0].target
    return -1
