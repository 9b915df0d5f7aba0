"""Verifies rewritten straight code: code of one block, without jumps and handlers.

A graph, its Plan and their `Unlinked` come in. `proof_of` compares all that stands above the exit stubs with the
original, byte by byte, and checks the probe. The rest goes out as a *proof*: the stubs, and which exceptions lead to
which stub. `rewrite.verifier` and `rewrite.path_check` depend on nothing else then, so their answer is the same for
equal proofs. Both verify the first code object with a proof, and the proof is kept.

Problem: both checks follow every exception of every code object, and the stubs of small code objects are alike.
Solution: follow them once. [3.12, 20 modules of the standard library: 1,049 straight code objects have 87 proofs]
"""

from __future__ import annotations

from _bisect import bisect_left

from instrument.decode.instructions import exception_table
from instrument.decode.location_entries import is_extended
from instrument.decode.opcodes import EXTENDED_ARG, LOAD_CONST
from instrument.decode.versions import CALLERS_ARE_LEFT_ABOVE
from instrument.flow.exits import is_left_above
from instrument.flow.graph import EdgeKind
from instrument.flow.placement_names import MINIMAL
from instrument.flow.plan import ProbePosition
from instrument.guest.process_state import cleared_on_reset
from instrument.rewrite import probes
from instrument.rewrite.unlinked import layout_of
from instrument.rewrite.verifier import wrong_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType
    from typing import Any

    from instrument.flow.graph import ControlFlowGraph
    from instrument.flow.plan import Plan
    from instrument.rewrite.unlinked import Unlinked

    Proof = tuple[Any, ...]

#: In place of the number of a probe: exits are recorded, or not counted here.
_RECORDED, _NOT_COUNTED = -1, -2
_OUTSIDE = (-1, 0)
#: The proofs that both checks have found right. Each takes about a kilobyte.
_right: set[Proof] = cleared_on_reset(set())
_MOST_PROOFS = 500


def is_right(proof: Proof | None) -> bool:
    """Return whether *proof* is one that `remember` got."""
    return proof in _right


def remember(proof: Proof) -> None:
    """Keep *proof*: both checks have found code with this proof right."""
    if len(_right) >= _MOST_PROOFS:
        _right.clear()
    _right.add(proof)


def proof_of(graph: ControlFlowGraph, plan: Plan, unlinked: Unlinked) -> Proof | None:
    """Return the proof of *unlinked*; None if it is no straight code, or another part of it has to be examined."""
    instructions, rewritten = graph.instructions, unlinked.code
    code = instructions.code
    if instructions.jumps or instructions.table or instructions.source is not instructions or not _is_one_block(graph):
        return None
    layout, first = layout_of(code, plan), instructions.first + 1
    old, new = code.co_code, rewritten.co_code
    probe = bytes((LOAD_CONST, layout.first_counter & 255)) + probes.ADVANCE
    cut, width, units = 2 * instructions.starts[first], len(probe), instructions.units
    end = len(old) + width
    if (
        layout.first_counter > 255
        or new[:cut] != old[:cut]
        or new[cut : cut + width] != probe
        or new[cut + width : end] != old[cut:]
        or unlinked.units != (*units[:first], *map((width >> 1).__add__, units[first:]))
        or not _counts_entry(plan, first)
        or wrong_field(code, rewritten)
        or not is_extended(
            rewritten.co_linetable, code.co_linetable, cut >> 1, width >> 1, len(old) >> 1, len(new) - end >> 1
        )
    ):
        return None
    exits = _exits(graph, plan, rewritten, unlinked.units, end >> 1)
    return exits and (new[end:], layout.first_counter, len(plan.probes), plan.exits, *exits)


def _is_one_block(graph: ControlFlowGraph) -> bool:
    """Return whether all instructions below the RESUME are one block, which is entered from outside and left once."""
    if graph.outside != 1 or len(graph.edges) != 2 or graph.entries:
        return False
    (block,), (entry, way_out) = graph.blocks, graph.edges
    first, last = graph.instructions.first + 1, len(graph.instructions) - 1
    return (
        (block.first, block.head, block.last) == (first, first, last)
        and (entry.kind, entry.source, entry.target, entry.at) == (EdgeKind.ENTER, 1, 0, first - 1)
        and way_out.kind in (EdgeKind.LEAVE, EdgeKind.RAISE)
        and (way_out.source, way_out.target, way_out.at) == (0, 1, last)
    )


def _counts_entry(plan: Plan, first: int) -> bool:
    """Return whether *plan* has one probe for the edge 0, above the instruction *first*, and others for exits only."""
    if plan.placement != MINIMAL or not plan.probes or plan.inlinable or plan.exec_calls:
        return False
    probe, *others = plan.probes
    return (
        (probe.position, probe.index) == (ProbePosition.FALLING, first)
        and {other.position for other in others} <= {ProbePosition.EXITING}
        and plan.measured_by_probe == (0, *[None] * len(others))
    )


def _exits(
    graph: ControlFlowGraph, plan: Plan, rewritten: CodeType, units: Sequence[int], end: int
) -> tuple[Any, ...] | None:
    """Return how exceptions of the originals at *units* are counted and where they go, and the entries of the stubs.

    Code units count from *end*, where the stubs begin. Return None if an exception goes to other code, or if the
    entries of the exception table are out of order.
    """
    entries = exception_table(rewritten.co_exceptiontable)
    size = len(rewritten.co_code) >> 1
    landings = [_OUTSIDE] * len(units)
    below = []
    stop_above = 0
    for start, stop, target, depth_and_lasti in entries:
        if not (stop_above <= start < stop <= size and end <= target < size) or start < end < stop:
            return None
        stop_above = stop
        if start < end:
            index = bisect_left(units, start)
            n = bisect_left(units, stop, index) - index
            landings[index : index + n] = [(target - end, depth_and_lasti)] * n
        else:
            below.append((start - end, stop - end, target - end, depth_and_lasti))
    counters = _counters(graph, plan)
    routes: set[tuple[Any, ...]] = {*zip(counters, landings)}
    routes.discard((_NOT_COUNTED, _OUTSIDE))
    if _NOT_COUNTED in [counter for counter, _ in routes]:
        return None
    if CALLERS_ARE_LEFT_ABOVE:
        ops, opcodes = graph.instructions.ops, rewritten.co_code[::2]
        bounds = [bound for start, stop, _, _ in entries for bound in (start, stop) if bound < end]
        for index in {graph.instructions.first + 1, *[bisect_left(units, bound) for bound in bounds]}:
            above = units[index] - 1 if index < len(units) else -1
            if above >= 0 and is_left_above(ops[index]) and opcodes[above] != EXTENDED_ARG:
                landing = next((entry[2:] for entry in entries if entry[0] <= above < entry[1]), (end - 1, 0))
                routes.add((counters[index - 1], counters[index], landing[0] - end, landings[index]))
    return frozenset(routes), tuple(below)


def _counters(graph: ControlFlowGraph, plan: Plan) -> list[int]:
    """Return the counter of the exits of each original: the number of a probe, or a constant from above."""
    instructions = graph.instructions
    counters = [_RECORDED] * len(instructions)
    for index, number in plan.stubs.items():
        counters[index] = number
    start = instructions.throwable_from
    counters[:start] = [_NOT_COUNTED] * start
    if graph.edges[1].kind == EdgeKind.RAISE:
        counters[-1] = _NOT_COUNTED
    return counters
