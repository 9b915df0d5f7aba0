"""The shape of a code object, and how often control took each way through it, for the derivation of flow counts.

CodeFacts and a Plan come in, in the terms of one version of Python; a CodeShape goes out, in terms of none. With Flows
it makes `Taken`: the flow over each edge, and how often each instruction was executed.
"""

from __future__ import annotations

from instrument.decode.opcodes import OPCODES
from instrument.flow.derived.code_facts import InstructionClass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.flow.conservation import Flows
    from instrument.flow.derived.code_facts import CodeFacts
    from instrument.flow.plan import Plan

    #: First line and column, last line and end column. Columns are -1 if they are not known.
    Position = tuple[int, int, int, int]

_CONDITIONAL = frozenset(
    (
        *(InstructionClass.IF_TRUE, InstructionClass.IF_FALSE, InstructionClass.IF_NONE),
        *(InstructionClass.IF_NOT_NONE, InstructionClass.FOR_ITER),
    )
)
#: The interpreter reads on behind an entry that is cut off, which a damaged file may have.
_PADDING = 16
_SHELL = (lambda: None).__code__
_NOP = bytes((OPCODES["NOP"], 0))


class Way:
    """An edge of the Plan, by its *number*: from the block *source* to the block *target*, either may be outside.

    - `at`: the instruction that leads over the edge: the last of the block, or the yield or await that is resumed. It
      is -1 for the entry of the code.
    - `is_jump`: whether a conditional jump was taken.
    - `is_exception`: whether an exception took the edge.
    """

    __slots__ = ("at", "is_exception", "is_jump", "number", "source", "target")

    def __init__(self, number: int, source: int, target: int, at: int, is_jump: bool, is_exception: bool) -> None:
        self.number = number
        self.source = source
        self.target = target
        self.at = at
        self.is_jump = is_jump
        self.is_exception = is_exception


class CodeShape:
    """The blocks, edges, lines and positions of one code object.

    - `blocks`: (first, last) instruction of each block; `outside` is the number behind the last block.
    - `edges`: each edge as a Way, and `ways_out`: the edges by the block that they leave.
    - `positions`: for each instruction its Position; None if it has no line, or line 0, as the start of a module has.
    - `lines`: for each instruction its line, or None.
    - `own_lines`: the same, but None for instructions that the compiler adds without a text of their own. In a function
      of nothing else, these have their lines.
    - `start`: the instruction at which the body starts, behind the instructions that prepare the frame.
    - `is_reachable`: for each block, whether control or an exception can get there.
    """

    def __init__(self, facts: CodeFacts, plan: Plan) -> None:
        self.facts = facts
        self.plan = plan
        self.blocks = plan.blocks
        self.outside = len(plan.blocks)
        self.edges: list[Way] = []
        self.ways_out: list[list[Way]] = [[] for _ in range(self.outside + 1)]
        for number, (source, target, _, _) in enumerate(plan.edges):
            self._add_edge(number, source, target)
        first, _ = plan.blocks[plan.edges[0][1]]
        self.start = first - 1
        self.positions = _positions(facts)
        self.lines = [None if position is None else position[0] for position in self.positions]
        self.own_lines = [
            None if position is None or (position[:2] == position[2:] and position[1] >= 0) else position[0]
            for position in self.positions
        ]
        # A body such as `pass` or a docstring leaves only such instructions, which then are the code of the line.
        if not any(self.own_lines[self.start + 1 :]) and facts.name != "<module>":
            self.own_lines = self.lines
        self.is_reachable = self._reachable()

    def _add_edge(self, number: int, source: int, target: int) -> None:
        classes = self.facts.classes
        if source == self.outside:
            # The edge of a resumption follows that of the yield or await that it resumes.
            at = self.edges[-1].at if self.edges else -1
            way = Way(number, source, target, at, is_jump=False, is_exception=False)
        else:
            _, at = self.blocks[source]
            # A jump that is not taken comes before one that is, and going on comes before raising again.
            is_second = bool(self.ways_out[source])
            is_exception = classes[at] == InstructionClass.RAISE or (
                classes[at] == InstructionClass.MAY_RERAISE and is_second
            )
            way = Way(number, source, target, at, is_second and classes[at] in _CONDITIONAL, is_exception)
        self.edges.append(way)
        self.ways_out[source].append(way)

    def _reachable(self) -> list[bool]:
        is_reachable = [False] * (self.outside + 1)
        pending = [self.outside, *[block for block, _, _ in self.plan.entries]]
        while pending:
            node = pending.pop()
            if not is_reachable[node]:
                is_reachable[node] = True
                pending += [way.target for way in self.ways_out[node]]
        return is_reachable

    def instructions_of(self, block: int) -> range:
        """Return the instructions of *block* that control executes, in order."""
        first, last = self.blocks[block]
        classes = self.facts.classes
        while first <= last and classes[first] == InstructionClass.SKIPPED:
            first += 1
        return range(first, last + 1)

    def is_conditional(self, index: int) -> bool:
        """Return whether the instruction *index* is a conditional jump."""
        return self.facts.classes[index] in _CONDITIONAL


class Taken:
    """How often control took each way through the code of *shape*; never, if *flows* is None.

    - `edges`: the flow over each edge.
    - `raised_into`: how often an exit led to each entry; to -1: out of the code.
    - `inflow`: how often control entered each block.
    - `executed`: how often each instruction was executed. An await counts as one instruction, however long it waits.
    - `calls`: how often the code was called.
    """

    def __init__(self, shape: CodeShape, flows: Flows | None) -> None:
        plan = shape.plan
        self.edges = [0] * len(plan.edges) if flows is None else flows.edges
        self.raised_into = {} if flows is None else flows.raised_into
        self.inflow = [0] * (shape.outside + 1)
        self.executed = [0] * len(shape.facts.classes)
        self.calls = 0
        if flows is not None:
            self._follow(shape, flows.left_at)

    def _follow(self, shape: CodeShape, left_at: dict[int, int]) -> None:
        plan, classes, executed = shape.plan, shape.facts.classes, self.executed
        for index in [index for index in left_at if classes[index] == InstructionClass.CALL_BEGINS]:
            left_at = {**left_at, index + 1: left_at.get(index + 1, 0) + left_at[index], index: 0}
        for way in shape.edges:
            self.inflow[way.target] += self.edges[way.number]
        for entry, count in self.raised_into.items():
            if entry >= 0:
                self.inflow[plan.entries[entry][0]] += count
        for block in range(shape.outside):
            count = self.inflow[block]
            for index in shape.instructions_of(block):
                executed[index] = count
                if index in left_at and index not in plan.outside_block:
                    count -= left_at[index]
        self.calls = self.edges[0] + left_at.get(shape.start, 0)
        executed[: shape.start + 1] = [self.calls] * (shape.start + 1)
        # An exception may be thrown into a generator that has not started.
        thrown_in = sum(left_at.get(index, 0) for index in range(shape.start))
        for index in range(classes.find(InstructionClass.GENERATOR) + 1):
            executed[index] += thrown_in
        for way in shape.edges[1:]:
            if way.source == shape.outside and classes[way.at] == InstructionClass.YIELD:
                first, _ = shape.blocks[way.target]
                executed[first - 1] += self.edges[way.number]


def _positions(facts: CodeFacts) -> list[Position | None]:
    """Return the position of each instruction.

    All versions have the same form of location table (CPython: Objects/locations.md). So this interpreter decodes the
    table in a code object that does nothing.
    """
    n_units = sum((byte & 7) + 1 for byte in facts.locations if byte > 127)
    shell = _SHELL.replace(
        co_code=_NOP * n_units,
        co_linetable=facts.locations + bytes(_PADDING),
        co_firstlineno=facts.first_line,
        co_exceptiontable=b"",
    )
    by_unit = [
        None if not line else (line, -1 if column is None else column, end_line or line, -1 if end is None else end)
        for line, end_line, column, end in shell.co_positions()
    ]
    return [by_unit[unit] for unit in facts.units]
