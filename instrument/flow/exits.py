"""Decides how exits are recorded: which records there are, which exits share a counter, and which enter without event.

A `ControlFlowGraph` comes in; parts of a Plan go out. An exit is an exception that an instruction raises: control
leaves the middle of its block. Recovery needs the place of its instruction for two reasons. Events
further below in the block did not happen, and the line event of the handler depends on the place.

GCC cannot count such edges, so it must put them on its spanning tree. Here, an exception table leads each exit to a
stub that records it (rewrite.probes), at no cost until an exception is raised.

Problem: a record looks up its counter by place, which takes long where exceptions are frequent.
Solution: one EXITING probe for all instructions whose exits no count can tell apart, at a fifth of the price.
"""

from __future__ import annotations

from instrument.decode.opcodes import (
    BINARY_OP,
    CACHES,
    CALL_FUNCTION_EX,
    JUMPS,
    MAY_RERAISE,
    OFTEN_RAISE,
    POP_EXCEPT,
    RAISES,
    RERAISE,
    RESUME,
    YIELD_VALUE,
)
from instrument.decode.versions import (
    CALLERS_ARE_LEFT_ABOVE,
    INLINED_CALL_LOSES_LINE,
    SUBSCRIPT_BINARY_OP,
)
from instrument.flow.graph import ControlFlowGraph, Edge, EdgeKind
from instrument.flow.plan import ExitKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.decode.instructions import Instructions

    #: Exits of one class are equivalent. A class is (handler or -1, block, number of events of the code up to the
    #: instruction, whether the handler is entered without its event).
    ExitClass = tuple[int, int, int, bool]

#: The most EXITING probes that lead to one handler. If more would be needed, a record costs less.
_MOST_PROBES_A_HANDLER = 3
_CO_OPTIMIZED = 1


def exit_records(graph: ControlFlowGraph) -> list[tuple[int, str]]:
    """Return the records of exits: (number of the entry, or -1 for no handler; ExitKind).

    There is a RAISED record for each handler, and one for exceptions that leave the code. A handler that
    starts a line also gets a RESTORED record, if a RERAISE to it restores f_lasti. The index of a record is its number.
    """
    records = [(number, ExitKind.RAISED) for number in range(-1, len(graph.entries))]
    restored = {
        graph.instructions.handlers[edge.at]
        for edge in graph.edges
        if edge.kind == EdgeKind.RAISE and graph.restores_place(edge.at)
    }
    records += [(number, ExitKind.RESTORED) for number in sorted(restored) if graph.entries[number].line is not None]
    return records


def is_left_above(op: int) -> bool:
    """Return whether exceptions of the instruction *op* may be led to the handler of the code unit above it.

    See versions.CALLERS_ARE_LEFT_ABOVE.
    """
    return CALLERS_ARE_LEFT_ABOVE and (CACHES[op] > 0 or op == CALL_FUNCTION_EX)


# Exits that share a counter ###########################################################################################


def group_equivalent_exits(graph: ControlFlowGraph, must_differ: frozenset[int]) -> list[tuple[int, list[int]]]:
    """Return (record, instructions) for each group of instructions whose exits one EXITING probe can count.

    No count depends on which instruction of a group raised. Instructions that *must_differ* are in no group, and
    neither are those whose exceptions are seldom caught. The code of modules and classes has no groups, because it runs
    once.
    """
    instructions = graph.instructions
    if not instructions.code.co_flags & _CO_OPTIMIZED:
        return []
    members = _exit_classes(graph, must_differ)
    likely = [key for key, indices in members.items() if _often_raise(instructions, indices)]
    if CALLERS_ARE_LEFT_ABOVE:
        _exclude_ambiguous_exits(instructions, members)
    n_likely = [0] * (len(graph.entries) + 1)  # by record: one RAISED record for each handler, the first for none
    for handler, *_ in likely:
        n_likely[handler + 1] += 1
    groups = []
    for key in likely:
        handler, *_ = key
        if n_likely[handler + 1] <= _MOST_PROBES_A_HANDLER and members[key]:
            groups.append((handler + 1, members[key]))
    return groups


def _often_raise(instructions: Instructions, indices: list[int]) -> bool:
    """Return whether the exceptions of one of the instructions *indices* are often caught."""
    ops, args = instructions.ops, instructions.args
    return any(
        ops[index] in OFTEN_RAISE or (ops[index] == BINARY_OP and args[index] == SUBSCRIPT_BINARY_OP)
        for index in indices
    )


def _exit_classes(graph: ControlFlowGraph, must_differ: frozenset[int]) -> dict[ExitClass, list[int]]:
    """Return the instructions of each class of equivalent exits, in order."""
    instructions = graph.instructions
    ops, handlers = instructions.ops, instructions.handlers
    loop_heads = {
        target for index, target in enumerate(instructions.targets) if 0 <= target <= index and ops[index] in JUMPS
    }
    always_raise = RAISES | MAY_RERAISE
    events = [index for index, _ in graph.events]
    n_events = 0
    members: dict[ExitClass, list[int]] = {}
    for number, block in enumerate(graph.blocks):
        for index in range(block.first, block.last + 1):
            while n_events < len(events) and events[n_events] <= index:
                n_events += 1
            op = ops[index]
            # An interrupt may be raised above a loop head (versions.INTERRUPTS_ARE_RAISED_ABOVE_TARGET).
            if (
                index in must_differ
                or index + 1 in loop_heads
                or index < instructions.throwable_from
                or op in always_raise
            ):
                continue
            handler = handlers[index]
            is_eventless = False
            if handler >= 0 and graph.entries[handler].line is not None:
                is_eventless = index in graph.entries[handler].eventless_sources
                if is_eventless and INLINED_CALL_LOSES_LINE and CACHES[op]:  # only if no call was inlined here
                    continue
            key = handler, number, n_events, is_eventless
            members.setdefault(key, []).append(index)
    return members


def _exclude_ambiguous_exits(instructions: Instructions, members: dict[ExitClass, list[int]]) -> None:
    """Remove each instruction from *members* to whose stub an exit of the instruction below it may be led.

    It remains if both are in one class. A record tells the two apart by the place.
    """
    ops = instructions.ops
    class_of = {index: key for key, indices in members.items() for index in indices}
    for index in range(len(ops) - 1, 0, -1):
        if not is_left_above(ops[index]):
            continue
        above = index - 1
        while above > 0 and above in instructions.steps:
            above -= 1
        if class_of.get(above) != class_of.get(index):
            for other in range(above, index):
                if other in class_of:
                    members[class_of.pop(other)].remove(other)


# Exceptions that are raised again #####################################################################################


def eventless_sources_of_restored(
    graph: ControlFlowGraph, entries: list[int], follows: bool
) -> tuple[dict[int, frozenset[int]], dict[int, frozenset[int]]]:
    """Return Plan.eventless_sources and Plan.raised_again for *entries*, those with a RESTORED record.

    The line event of such an entry depends on the place that RERAISE restores. A record may have
    another place, that of the first raise in the frame. Neither a bare `raise` nor the end of a `finally` adds an
    entry to the traceback. If *follows*, the ways from the first raise to the entry are followed to find it.
    """
    eventless = {entry: set(graph.entries[entry].eventless_sources) for entry in entries}
    raised_again: dict[int, set[int]] = {entry: set() for entry in entries}
    if entries and follows:
        paths = _ExceptionPaths(graph)
        instructions = graph.instructions
        for index, handler in enumerate(instructions.handlers):
            if index and instructions.ops[index] == RESUME:  # an exception that is thrown in goes where the yield leads
                handler = instructions.handlers[index - 1]
            for entry, places in paths.restored_from(handler).items() if handler >= 0 else ():
                place = min(places)
                if entry not in eventless or place < 0:  # the place of the first raise may be the restored one
                    continue
                raised_again[entry].add(index)
                if place in graph.entries[entry].eventless_sources:
                    eventless[entry].add(index)
                else:
                    eventless[entry].discard(index)
    return (
        {entry: frozenset(sources) for entry, sources in eventless.items()},
        {entry: frozenset(sources) for entry, sources in raised_again.items()},
    )


class _ExceptionPaths:
    """Follows exceptions of *graph* from handler to handler. A handler is known by its number, as is its entry."""

    def __init__(self, graph: ControlFlowGraph) -> None:
        self.graph = graph
        self._edges_out_of: dict[int, list[Edge]] = {}
        self._entered_at: dict[int, int] = {}
        for edge in graph.edges:
            if edge.kind == EdgeKind.ENTER:
                self._entered_at[edge.at] = edge.target
            else:
                self._edges_out_of.setdefault(edge.source, []).append(edge)
        self._reraises: dict[int, list[Edge]] = {}
        self._restored: dict[int, dict[int, set[int]]] = {}

    def restored_from(self, handler: int) -> dict[int, set[int]]:
        """Return the entries that an exception may reach from *handler* by a RERAISE that restores a place.

        Each has the set of the places that may be restored. A place is the last instruction that raised the exception
        again, or -1 if it was raised once only.
        """
        if handler not in self._restored:
            restored: dict[int, set[int]] = {}
            pending = [(handler, -1)]
            visited = set(pending)
            while pending:
                number, place = pending.pop()
                for edge in self._reraises_in(number):
                    restores = self.graph.restores_place(edge.at)
                    target = self.graph.instructions.handlers[edge.at]
                    if restores:
                        restored.setdefault(target, set()).add(place)
                    step = target, place if restores else edge.at
                    if target >= 0 and step not in visited:
                        visited.add(step)
                        pending.append(step)
            self._restored[handler] = restored
        return self._restored[handler]

    def _reraises_in(self, handler: int) -> list[Edge]:
        """Return the edges along which an exception in *handler* may be raised again, before it is handled."""
        if handler not in self._reraises:
            graph = self.graph
            ops, args = graph.instructions.ops, graph.instructions.args
            reraises = []
            pending = [graph.entries[handler].block]
            visited = set(pending)
            while pending:
                block = graph.blocks[number := pending.pop()]
                is_handled = ops[block.last] in MAY_RERAISE or POP_EXCEPT in ops[block.first : block.last + 1]
                for edge in self._edges_out_of.get(number, ()):
                    is_bare = edge.kind == EdgeKind.RAISE and (ops[edge.at] == RERAISE or not args[edge.at])
                    if edge.kind == EdgeKind.RERAISED or is_bare:
                        reraises.append(edge)
                        continue
                    target = self._target_of(edge)
                    if not is_handled and target != graph.outside and target not in visited:
                        visited.add(target)
                        pending.append(target)
            self._reraises[handler] = reraises
        return self._reraises[handler]

    def _target_of(self, edge: Edge) -> int:
        """Return the node where control goes on behind *edge*: if a yield leaves, the block where it is resumed."""
        if edge.kind != EdgeKind.LEAVE:
            return edge.target
        is_yield = self.graph.instructions.ops[edge.at] == YIELD_VALUE
        return self._entered_at.get(edge.at + is_yield, self.graph.outside)
