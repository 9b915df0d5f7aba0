"""The units in which the growth of work is counted: instructions, executions and calls."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.model.flow_counts import FlowCounts

#: Bytecode instructions; how often lines ran; how often functions were called.
INSTRUCTIONS, EXECUTIONS, CALLS = "instructions", "executions", "calls"
UNITS = (INSTRUCTIONS, EXECUTIONS, CALLS)


def work_in(unit: str, flow: FlowCounts, *, is_function: bool) -> int:
    """Return the work in *flow*, that of one code object, in *unit*, one of UNITS.

    Calls count only if the code object *is_function*: comprehensions are parts of functions.
    """
    if unit == CALLS:
        return sum(each.calls for each in flow.functions.values()) if is_function else 0
    return sum((flow.instructions if unit == INSTRUCTIONS else flow.executions).values())
