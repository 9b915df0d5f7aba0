"""FlowCounts: how control went through the code of a source file. Values that add.

They follow from the flow over each edge of the control-flow graph, see `instrument.flow.conservation`. Readers of data
files recover them; no measured process does.
"""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.model.measurement import FunctionKey


class DecisionKind:
    """The condition of a Decision."""

    #: The truth of an expression: in `if`, `while`, `and`, `or`, a ternary, a chain of comparisons, a filter. The truth
    #: of `x` in `not x`. Before 3.14 Python compiles `not a in b` as `a not in b`, and tests the truth of that.
    TEST = "test"
    #: Whether an expression is None: in `x is None` and in `x is not None`.
    NONE = "none"
    #: Whether an iterator has another element: in `for`, and in the `for` of a comprehension. Not in `async for`.
    LOOP = "loop"
    #: Whether a pattern of `match` fits. Its place leaves out the name in `pattern as name`.
    CASE = "case"
    #: Whether an exception has a type that an `except` clause names.
    EXCEPT = "except"


class Decision(NamedTuple):
    """A place in the source at which control goes one of two ways.

    The place is the tested expression, or the pattern: first line, column, last line, end column. Columns count bytes
    of UTF-8 from 0, as those of `co_positions`; they are -1 if they are not known. *kind* is one of DecisionKind.
    Several decisions may have the same place, as in `a < b < c`: *number* tells these apart, from 0 on, in the order of
    the code.
    """

    line: int
    column: int
    end_line: int
    end_column: int
    kind: str
    number: int


#: The target of an Arc for an instruction that raises an exception each time.
RAISED = -1


class Arc(NamedTuple):
    """A way from one *line* to another one, the *target*, within the code object of *function*.

    *target* is 0 if control leaves the code object behind *line* by a return. It is RAISED if a `raise` on *line* ran,
    or if an exception went on at the end of a `finally` on *line*.
    """

    function: FunctionKey
    line: int
    target: int


class Outcomes(NamedTuple):
    """How often a decision came out true, and how often false."""

    true: int
    false: int


class FunctionFlow(NamedTuple):
    """How often control entered and left a code object, and how many instructions it executed there.

    - calls: how often it was called; resumptions of a generator or coroutine do not count
    - returned: how often it was left by a return
    - yielded: how often it was left by a yield; an await counts once, however long it waits
    - raised: how often it was left by an exception
    - instructions: how many bytecode instructions were executed in it, without those of the functions that it called
    """

    calls: int = 0
    returned: int = 0
    yielded: int = 0
    raised: int = 0
    instructions: int = 0


class FlowCounts:
    """How control went through the code of one version of a source file, as far as it is known.

    - `decisions`: the Outcomes of each Decision of code that is known, also of code that never ran.
    - `arcs`: how often each Arc was taken, 0 included. A line has an arc for each way that leads from it to another
      line, or out of the code object by a return. It has one for a `raise`.
    - `instructions`: how many instructions of each line were executed. An await counts as one, however long it waits.
      If exceptions were counted without their exact place, the number may be off by instructions around that place.
    - `executions`: how often each line began: how often control came from elsewhere to one part of the line, that to
      which it came most often. A part is a set of instructions that control reaches from each other without leaving the
      line. So a statement over several lines that ran once counts once on each, a loop counts its tests,
      and a comprehension counts as its statement. The code of a generator expression begins none of its lines.
    - `functions`: the FunctionFlow of each code object, 0 included.
    """

    __slots__ = ("arcs", "decisions", "executions", "functions", "instructions")

    def __init__(self) -> None:
        self.decisions: dict[Decision, Outcomes] = {}
        self.arcs: dict[Arc, int] = {}
        self.instructions: dict[int, int] = {}
        self.executions: dict[int, int] = {}
        self.functions: dict[FunctionKey, FunctionFlow] = {}

    def add_decision(self, decision: Decision, true: int, false: int) -> None:
        """Add to the outcomes of *decision*, which may be new."""
        before = self.decisions.get(decision, (0, 0))
        self.decisions[decision] = Outcomes(before[0] + true, before[1] + false)

    def add_function(self, function: FunctionKey, flow: FunctionFlow) -> None:
        """Add *flow* to that of *function*, which may be new."""
        before = self.functions.get(function, FunctionFlow())
        self.functions[function] = FunctionFlow(*(one + other for one, other in zip(before, flow, strict=True)))

    def __iadd__(self, other: FlowCounts) -> FlowCounts:
        for decision, outcomes in other.decisions.items():
            self.add_decision(decision, *outcomes)
        for function, flow in other.functions.items():
            self.add_function(function, flow)
        for mine, theirs in (
            (self.instructions, other.instructions),
            (self.executions, other.executions),
        ):
            for line, count in theirs.items():
                mine[line] = mine.get(line, 0) + count
        for arc, count in other.arcs.items():
            self.arcs[arc] = self.arcs.get(arc, 0) + count
        return self

    def __eq__(self, other: object) -> bool:
        fields = FlowCounts.__slots__
        return isinstance(other, FlowCounts) and all(getattr(self, each) == getattr(other, each) for each in fields)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<flow counts {', '.join(f'{field} {getattr(self, field)}' for field in FlowCounts.__slots__)}>"
