"""Rewrites a code object: adds the probes and exit stubs of its Plan.

A graph and its Plan come in; an `Unlinked` goes out. The rewritten code has placeholders for its counters, so it can be
stored and shared until `link` gives it counters.

Instructions, constants, names, positions and handlers of the original stay as the compiler made them; only the
distances of jumps change. Two checks read the result before anyone runs it. `verifier` compares the originals with
their copies, and `path_check` follows all paths past the probes.
"""

from __future__ import annotations

from instrument.errors import RewriteError
from instrument.flow.derived.code_facts import facts_of
from instrument.rewrite import probes
from instrument.rewrite.emitter import Emitter
from instrument.rewrite.jumps import Jumps
from instrument.rewrite.path_check import wrong_path
from instrument.rewrite.places import Places
from instrument.rewrite.routes import ExceptionRoutes
from instrument.rewrite.straight import check, writer
from instrument.rewrite.stubs import ExitStubs, StubNames
from instrument.rewrite.tables import ExceptionTable, location_table
from instrument.rewrite.unlinked import Unlinked, layout_of
from instrument.rewrite.verifier import RewrittenCode, difference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.flow.graph import ControlFlowGraph
    from instrument.flow.plan import Plan


def rewrite(graph: ControlFlowGraph, plan: Plan) -> Unlinked:
    """Return the code of *graph* with the probes and exit stubs of *plan*; raise RewriteError if a check fails."""
    instructions = graph.instructions
    code = instructions.code
    unlinked = writer.rewritten(graph, plan)
    proof = None
    if unlinked is not None and check.is_right(proof := check.proof_of(graph, plan, unlinked)):
        return unlinked
    if unlinked is None:
        unlinked = _rewritten(graph, plan)
    rewritten = RewrittenCode(instructions, unlinked.code, unlinked.units)
    problem = difference(rewritten) or wrong_path(graph, plan, rewritten)
    if problem:
        name = f"{code.co_filename}:{code.co_firstlineno}: {code.co_qualname}"
        raise RewriteError(f"{name} cannot be rewritten: {problem}")
    if proof is not None:
        check.remember(proof)
    return unlinked


def _rewritten(graph: ControlFlowGraph, plan: Plan) -> Unlinked:
    """Return the `Unlinked` of *graph* and *plan*, not yet verified; raise RewriteError if a jump cannot be encoded."""
    instructions = graph.instructions
    code = instructions.code
    layout = layout_of(code, plan)
    names = StubNames(code)
    routes = ExceptionRoutes(graph, plan)
    places = Places(graph, plan, layout)
    long_jumps: list[int] = []
    while True:
        emitter = Emitter(graph, plan, places, Jumps(graph, places, long_jumps), routes)
        emitter.emit()
        output = emitter.output
        stubs = ExitStubs(instructions, plan, layout, names, output, routes, places)
        stubs.emit_stubs()
        too_long = output.resolve_jumps()
        if not too_long:
            break
        long_jumps += too_long
    exceptions = ExceptionTable(instructions, output, routes, stubs)
    rewritten = code.replace(
        co_code=output.code,
        co_consts=(*code.co_consts, *[None] * (layout.n_constants - len(code.co_consts))),
        co_names=tuple(names.names),
        # A stub finds lasti and the exception on the stack above the depth of its handler.
        co_stacksize=max(code.co_stacksize, exceptions.deepest + 2) + probes.STACK_OF_PROBE,
        co_linetable=location_table(code, output.sources, output.offsets),
        co_exceptiontable=exceptions.encode(),
    )
    offsets = output.opcode_offsets
    return Unlinked(
        rewritten,
        plan,
        len(instructions),
        [*output.units, *[offsets[place] for place, _ in output.added_jumps]],
        [meaning for _, meaning in output.added_jumps],
        [
            offsets[output.place_of_probe[number]] if number in output.place_of_probe else 0
            for number in range(len(plan.probes))
        ],
        facts_of(instructions),
    )
