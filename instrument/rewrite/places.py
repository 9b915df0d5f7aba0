"""Finds the places of one code object at which code is added, and the code for each place.

A graph, its Plan and the layout of the constants come in. The probes at each instruction go out, and the code units to
add before calls. Beside probes and jumps, code is added at three places:

- A NOP, where an exception would otherwise be led to a handler without being counted. The interpreter looks up the
  handler of some exceptions one code unit above the instruction that raised (`flow.exits.is_left_above`).
- A NOP, where Python 3.11 would blame a wrong instruction for an exception (flow.misattributed_raises).
- The exchange of exec'd code before a call, and the question whether a call will be inlined (rewrite.probes).
"""

from __future__ import annotations

from itertools import compress

from instrument.decode.call_sites import passes_keywords, start_of_call
from instrument.decode.opcodes import CALL_FUNCTION_EX, CALL_KW, FOR_ITER, JUMPS, RESUME, SEND, flags_of
from instrument.decode.versions import JUMP_BACK_RAISES_LINE_EVENT, PAIRS_MISATTRIBUTE_RAISES
from instrument.flow.misattributed_raises import loads_to_separate
from instrument.flow.placement_names import CALLING, NOTHING
from instrument.flow.plan import ProbePosition
from instrument.rewrite import probes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.decode.instructions import Instructions
    from instrument.flow.graph import ControlFlowGraph
    from instrument.flow.plan import Plan
    from instrument.rewrite.unlinked import ConstantLayout

_IS_RESUME = flags_of((RESUME,))


class Places:
    """The places of one code object at which code is added, by instruction.

    - `before`, `falling`, `taken`, `raising`: the numbers of the probes of each position (flow.plan).
    - `behind_calls`: for each inlinable call, the condition and the probe that must stand behind it.
    - `before_target`: for each jump target that nothing falls into: the jump whose probe stands right before it.
    - `heads`: for each FOR_ITER whose target has instructions that it skips: the first that it does not skip.
    - `above_target`: 3.11: for each jump target, the jumps back within one line whose probes stand above it.
    - `before_calls`: the code units that must stand before calls, by the first instruction of each call.
    - `separated`: instructions that must not stand right behind the one above.
    - `loop_heads`: instructions that jumps back lead to, in the original or in a copy of a loop.
    - `resumes`: the code units of each RESUME that is written anew, because the placement calls.
    - `probe_code`: the code units of each probe, by its number.
    """

    __slots__ = (
        *("above_target", "before", "before_calls", "before_target", "behind_calls", "falling", "heads", "loop_heads"),
        *("probe_code", "raising", "resumes", "separated", "taken"),
    )

    def __init__(self, graph: ControlFlowGraph, plan: Plan, layout: ConstantLayout) -> None:
        instructions = graph.instructions
        calls = plan.placement in CALLING
        code_of_probe = probes.call if calls else probes.probe
        self.probe_code = [code_of_probe(layout.first_counter + number) for number in range(len(plan.probes))]
        self._add_probes(plan)
        self._add_probes_at_targets(graph)
        self.before_calls = _code_before_calls(instructions, plan, layout, list(self.behind_calls))
        self.separated: frozenset[int] = frozenset()
        if PAIRS_MISATTRIBUTE_RAISES and plan.placement != NOTHING:
            self.separated = frozenset(loads_to_separate(graph))
        ops, targets = instructions.ops, instructions.targets
        self.loop_heads = {targets[jump] for jump in instructions.jumps if targets[jump] <= jump and ops[jump] in JUMPS}
        self.loop_heads.update(targets[index] for index in instructions.turns)
        self.resumes: dict[int, bytes] = {}
        if calls:
            resumes = compress(range(len(ops)), ops.translate(_IS_RESUME))
            self.resumes = {index: probes.resume(instructions.args[index]) for index in resumes}

    def _add_probes(self, plan: Plan) -> None:
        by_position: dict[str, dict[int, list[int]]] = {position: {} for position in ProbePosition.ALL}
        for number, probe in enumerate(plan.probes):
            by_position[probe.position].setdefault(probe.index, []).append(number)
        self.before, self.falling = by_position[ProbePosition.BEFORE], by_position[ProbePosition.FALLING]
        self.taken, self.raising = by_position[ProbePosition.TAKEN], by_position[ProbePosition.RAISING]
        self.behind_calls = {
            call: probes.count_if_inlined(self.probe_code[numbers[0]])
            for call, numbers in by_position[ProbePosition.INLINED].items()
        }

    def _add_probes_at_targets(self, graph: ControlFlowGraph) -> None:
        """Set `before_target`, `heads` and `above_target` from `taken`."""
        instructions = graph.instructions
        ops, targets, n_skipped_at = instructions.ops, instructions.targets, instructions.n_skipped_at
        self.before_target: dict[int, int] = {}
        for index in sorted(self.taken, key=lambda index: ops[index] != SEND):
            target = targets[index]
            if not instructions.falls_into(target) and not n_skipped_at(target):
                self.before_target.setdefault(target, index)
        self.heads = [targets[jump] + n_skipped_at(targets[jump]) for jump in self.taken if ops[jump] == FOR_ITER]
        self.above_target: dict[int, list[int]] = {}
        for index in () if JUMP_BACK_RAISES_LINE_EVENT else self.taken:
            target = targets[index]
            if (
                self.before_target.get(target) != index
                and index < target
                and not graph.line_events.fires(index, target)
            ):
                self.above_target.setdefault(target, []).append(index)


def _code_before_calls(
    instructions: Instructions, plan: Plan, layout: ConstantLayout, inlinable: list[int]
) -> dict[int, bytes]:
    """Return the code units that must stand before calls, by the first instruction of each call."""
    ops, args = instructions.ops, instructions.args
    calls = [*inlinable, *[call for call, _ in plan.exec_calls]]
    starts = [start_of_call(instructions, call) for call in calls]
    keywords = [ops[call] == CALL_FUNCTION_EX and passes_keywords(instructions, call) for call, _ in plan.exec_calls]
    code = [probes.check_if_inlined(args[call], layout.first_was_inlined + n) for n, call in enumerate(inlinable)]
    code += [
        probes.exchange_exec_arguments(has_keywords, layout.exchange)
        if ops[call] == CALL_FUNCTION_EX
        else probes.exchange_exec_argument(args[call], namespace, ops[call] == CALL_KW, layout.exchange)
        for (call, namespace), has_keywords in zip(plan.exec_calls, keywords)
    ]
    before_calls: dict[int, bytes] = {}
    for start, units in zip(starts, code):
        before_calls[start] = before_calls.get(start, b"") + units
    return before_calls
