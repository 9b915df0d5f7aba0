"""Rewrites a code object: adds the probes and exit stubs of its Plan.

A graph and its Plan come in; an `Unlinked` goes out. The rewritten code has placeholders for its counters, so it can be
stored and shared until `link` gives it counters.

Instructions, constants, names, positions and handlers of the original stay as the compiler made them; only the
distances of jumps change. Two checks read the result before anyone runs it. `verifier` compares the originals with
their copies, and `path_check` follows all paths past the probes.
"""

from __future__ import annotations

from instrument.errors import RewriteError
from instrument.flow.placement_names import CALLING
from instrument.rewrite import probes
from instrument.rewrite.constant_layout import layout_of
from instrument.rewrite.emitter import InstructionEmitter
from instrument.rewrite.jumps import JumpEmitter, ProbePlaces
from instrument.rewrite.output import Output
from instrument.rewrite.path_check import wrong_path
from instrument.rewrite.routes import ExceptionRoutes
from instrument.rewrite.stubs import ExitStubs, StubNames
from instrument.rewrite.tables import ExceptionTable, location_table
from instrument.rewrite.unlinked import Unlinked
from instrument.rewrite.verifier import difference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.flow.graph import ControlFlowGraph
    from instrument.flow.plan import Plan


def rewrite(graph: ControlFlowGraph, plan: Plan) -> Unlinked:
    """Return the code of *graph* with the probes and exit stubs of *plan*; raise RewriteError if a check fails."""
    instructions = graph.instructions
    code = instructions.code
    unlinked = _rewritten(graph, plan)
    problem = difference(instructions, unlinked) or wrong_path(graph, plan, unlinked.code, unlinked.units)
    if problem:
        name = f"{code.co_filename}:{code.co_firstlineno}: {code.co_qualname}"
        raise RewriteError(f"{name} cannot be rewritten: {problem}")
    return unlinked


def _rewritten(graph: ControlFlowGraph, plan: Plan) -> Unlinked:
    """Return the `Unlinked` of *graph* and *plan*, not yet verified; raise RewriteError if a jump cannot be encoded."""
    instructions = graph.instructions
    code = instructions.code
    n = len(instructions)
    layout = layout_of(code, plan)
    names = StubNames(code)
    output = Output(code.co_code, n, layout, plan.placement in CALLING)
    routes = ExceptionRoutes(graph, plan)
    probe_places = ProbePlaces(graph, plan)

    jumps = JumpEmitter(graph, plan, output, routes, probe_places)
    emitter = InstructionEmitter(graph, plan, layout, output, routes, jumps, probe_places)
    emitter.emit_instructions()
    jumps.emit_second_jumps()
    jumps.emit_upward_jumps()
    stubs = ExitStubs(instructions, plan, layout, names, output, routes, probe_places.raising)
    stubs.emit_stubs()

    offsets = output.resolve_jumps()
    exceptions = ExceptionTable(instructions, output, offsets, routes, stubs)
    rewritten = code.replace(
        co_code=b"".join(output.pieces),
        co_consts=(*code.co_consts, *[None] * (layout.n_constants - len(code.co_consts))),
        co_names=tuple(names.names),
        # A stub finds lasti and the exception on the stack above the depth of its handler.
        co_stacksize=max(code.co_stacksize, exceptions.deepest + 2) + probes.STACK_OF_PROBE,
        co_linetable=location_table(code, output.sources, offsets),
        co_exceptiontable=exceptions.encode(),
    )
    opcodes_at = output.opcode_offsets(offsets)
    return Unlinked(
        rewritten,
        plan,
        n,
        [*emitter.units(opcodes_at), *[opcodes_at[place] for place, _ in jumps.added_jumps]],
        [meaning for _, meaning in jumps.added_jumps],
        [
            opcodes_at[output.place_of_probe[number]] if number in output.place_of_probe else 0
            for number in range(len(plan.probes))
        ],
    )
