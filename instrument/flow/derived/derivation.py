"""Derives FlowCounts from the flow over each edge of a code object: decisions, arcs, executions, function exits, cost.

CodeFacts, a Plan of the placement `minimal` and its recovered Flows come in; FlowCounts grow (`add_flow`). Only readers
of data files derive. So the code that was measured may be that of another version of Python.

The rules by which decisions are found are in `flow.derived.decisions`, and those of lines in `flow.derived.line_flow`.
"""

from __future__ import annotations

from instrument.flow.derived.code_facts import InstructionClass
from instrument.flow.derived.decisions import add_decisions
from instrument.flow.derived.line_flow import add_arcs_and_executions
from instrument.flow.derived.shape import CodeShape, Taken
from instrument.model.flow_counts import FlowCounts, FunctionFlow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    from instrument.flow.conservation import Flows
    from instrument.flow.derived.code_facts import CodeFacts
    from instrument.flow.plan import Plan
    from instrument.model.measurement import FunctionKey


def add_flow(counts: FlowCounts, function: FunctionKey, facts: CodeFacts, plan: Plan, flows: Flows | None) -> None:
    """Add the flow counts of one code object, that of *function*, which follow from *flows*, to *counts*.

    *facts* and *plan* are those of the code object. If *flows* is None, the code never ran: its decisions, arcs and
    function are added with zeros.
    """
    shape = CodeShape(facts, plan)
    taken = Taken(shape, flows)
    add_decisions(counts, shape, taken)
    add_arcs_and_executions(counts, function, shape, taken)
    for line, executed in instructions_by_line(shape, taken).items():
        counts.instructions[line] = counts.instructions.get(line, 0) + executed
    counts.add_function(function, _function_flow(shape, taken))


def static_flow(code: CodeType) -> FlowCounts:
    """Return the FlowCounts of *code* and of all code objects in it, none of which ever ran: zeros.

    Raise ValueError if no compiler makes code of this shape.
    """
    from instrument.flow.derived.code_facts import facts_of
    from instrument.flow.placement import graph_of, plan
    from instrument.flow.placement_names import MINIMAL

    counts = FlowCounts()
    pending = [code]
    while pending:
        each = pending.pop()
        pending += [constant for constant in each.co_consts if isinstance(constant, type(code))]
        graph = graph_of(each, MINIMAL)
        function = (each.co_qualname, each.co_firstlineno)
        add_flow(counts, function, facts_of(graph.instructions), plan(graph), None)
    return counts


def instructions_by_line(shape: CodeShape, taken: Taken) -> dict[int, int]:
    """Return how many instructions of each line were executed."""
    instructions: dict[int, int] = {}
    for line, executed in zip(shape.lines, taken.executed):
        if line is not None:
            instructions[line] = instructions.get(line, 0) + executed
    return instructions


def _function_flow(shape: CodeShape, taken: Taken) -> FunctionFlow:
    returned = yielded = raised = 0
    for edge in shape.edges:
        if edge.target == shape.outside:
            flow = taken.edges[edge.number]
            if edge.is_exception:
                raised += flow
            elif shape.facts.classes[edge.at] == InstructionClass.RETURN:
                returned += flow
            else:
                yielded += flow
    return FunctionFlow(
        calls=taken.calls,
        returned=returned,
        yielded=yielded,
        raised=raised + taken.raised_into.get(-1, 0),
        instructions=sum(taken.executed),
    )
