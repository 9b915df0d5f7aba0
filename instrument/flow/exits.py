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

from _bisect import bisect_right
from itertools import compress

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
    flags_of,
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

    #: Exits of one class are equivalent. A class is (handler or -1, number of its run of instructions, whether the
    #: handler is entered without its event).
    ExitClass = tuple[int, int, bool]

#: The most EXITING probes that lead to one handler, those in further copies of a loop not counted. If more would be
#: needed, a record costs less.
_MOST_PROBES_A_HANDLER = 3
_CO_OPTIMIZED = 1
OFTEN_RAISES = flags_of(OFTEN_RAISE | ({BINARY_OP} if SUBSCRIPT_BINARY_OP >= 0 else set()))
_ALWAYS_RAISES = flags_of(RAISES | MAY_RERAISE)
_IS_LEFT_ABOVE = bytes(256)
if CALLERS_ARE_LEFT_ABOVE:
    _IS_LEFT_ABOVE = flags_of([op for op in range(256) if CACHES[op] or op == CALL_FUNCTION_EX])


def exit_records(graph: ControlFlowGraph) -> list[tuple[int, str]]:
    """Return the records of exits: (number of the entry, or -1 for no handler; ExitKind).

    There is a RAISED record for each handler, and one for exceptions that leave the code. A handler that
    starts a line also gets a RESTORED record, if a RERAISE to it restores f_lasti. The index of a record is its number.
    """
    records = [(number, ExitKind.RAISED) for number in range(-1, len(graph.entries))]
    if not graph.entries:
        return records
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
    return bool(_IS_LEFT_ABOVE[op])


def likeliest_exit(instructions: Instructions, group: list[int]) -> int:
    """Return the instruction that stands for *group*, whose exits share a counter: the last one that often raises.

    Lines do not depend on the choice, but costs do. `int(text.strip())` raises in the outer call more often.
    """
    return next((index for index in reversed(group) if _often_raises(instructions, index)), group[0])


def _often_raises(instructions: Instructions, index: int) -> bool:
    """Return whether exceptions of the instruction *index* are often caught; of binary operators, those of `x[i]`."""
    op = instructions.ops[index]
    return bool(OFTEN_RAISES[op]) and (op != BINARY_OP or instructions.args[index] == SUBSCRIPT_BINARY_OP)


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
    classes = _ExitClasses(graph, must_differ)
    groups = []
    for exit_class in classes.likely():
        handler, _, _ = exit_class
        record = handler + 1  # one RAISED record for each handler, the first for none
        groups.append((record, classes.members_of(exit_class)))
    groups.sort(key=lambda group: group[1])
    if CALLERS_ARE_LEFT_ABOVE:
        groups = [(record, _without_ambiguous_exits(instructions, members)) for record, members in groups]
    return [(record, members) for record, members in groups if members]


class _ExitClasses:
    """The classes of equivalent exits of *graph*; the exits of instructions that *must_differ* are in none.

    Blocks are cut into runs at their line events. The instructions of a class are in one run.
    """

    def __init__(self, graph: ControlFlowGraph, must_differ: frozenset[int]) -> None:
        instructions = graph.instructions
        ops, targets = instructions.ops, instructions.targets
        # An interrupt may be raised above a loop head (versions.INTERRUPTS_ARE_RAISED_ABOVE_TARGET).
        above_loop_heads = [
            targets[jump] - 1 for jump in instructions.jumps if targets[jump] <= jump and ops[jump] in JUMPS
        ]
        always_raise = compress(range(len(ops)), ops.translate(_ALWAYS_RAISES))
        self._in_no_class = must_differ.union(above_loop_heads, always_raise)
        self._graph = graph
        self._starts_of_runs = sorted([*graph.firsts, *[index for index, _ in graph.events], len(ops)])

    def likely(self) -> list[ExitClass]:
        """Return the classes that have an instruction whose exceptions are often caught.

        Of one handler there are none if they would be more than _MOST_PROBES_A_HANDLER. The copies of a loop that goes
        on after the exception count once: it has few classes, but many copies.
        """
        instructions = self._graph.instructions
        ops, origins = instructions.ops, instructions.origins
        often_raises = ops.translate(OFTEN_RAISES)
        # By handler: for each class the first instruction that often raises; its original, if copies count once.
        classes: dict[int, dict[ExitClass, int]] = {}
        n_open = len(instructions.table) + 1  # handlers that do not have too many yet
        index = often_raises.find(1)
        while index >= 0:
            start = index + 1
            exit_class = self._class_of(index)
            if exit_class is not None and _often_raises(instructions, index):
                handler, run, _ = exit_class
                of_handler = classes.setdefault(handler, {})
                if exit_class not in of_handler:
                    first = origins[index] if self._is_caught_in_loop(index, handler) else index
                    is_one_more = first not in of_handler.values()
                    of_handler[exit_class] = first
                    n_open -= is_one_more and len(set(of_handler.values())) == _MOST_PROBES_A_HANDLER + 1
                    if not n_open:
                        return []
                if not instructions.table:  # the rest of the run is in the same class
                    start = self._starts_of_runs[run + 1]
            index = often_raises.find(1, start)
        few = [of_handler for of_handler in classes.values() if len(set(of_handler.values())) <= _MOST_PROBES_A_HANDLER]
        return [exit_class for of_handler in few for exit_class in of_handler]

    def _is_caught_in_loop(self, index: int, handler: int) -> bool:
        """Return whether a loop goes on behind *handler*, which catches exceptions of *index*. Unrolled code only."""
        instructions = self._graph.instructions
        if handler < 0 or instructions.source is instructions:
            return False
        target, targets = instructions.table[handler].target, instructions.targets
        return any(targets[jump] <= index < target <= jump for jump in instructions.jumps)

    def members_of(self, exit_class: ExitClass) -> list[int]:
        """Return the instructions of *exit_class*, in order."""
        _, run, _ = exit_class
        instructions = range(self._starts_of_runs[run], self._starts_of_runs[run + 1])
        if not self._graph.entries:
            return [index for index in instructions if index not in self._in_no_class]
        return [index for index in instructions if self._class_of(index) == exit_class]

    def _class_of(self, index: int) -> ExitClass | None:
        if index in self._in_no_class:
            return None
        graph = self._graph
        handler = graph.instructions.handlers[index]
        is_eventless = False
        if handler >= 0 and graph.entries[handler].line is not None:
            is_eventless = index in graph.entries[handler].eventless_sources
            # The handler is entered with its event if a call was inlined here.
            if is_eventless and INLINED_CALL_LOSES_LINE and CACHES[graph.instructions.ops[index]]:
                return None
        return handler, bisect_right(self._starts_of_runs, index) - 1, is_eventless


def _without_ambiguous_exits(instructions: Instructions, members: list[int]) -> list[int]:
    """Return the *members* of a class without those to whose stub an exit of the instruction below may be led.

    A member remains if the instruction below it is in the class. A record tells the two apart by the place.
    """
    ops, steps = instructions.ops, instructions.steps
    remaining = set(members)
    for index in reversed(members):
        above = below = index
        while above in steps:
            above -= 1
        while below == index or below in steps:
            below += 1
            if below < len(ops) and _IS_LEFT_ABOVE[ops[below]] and not remaining.issuperset((above, below)):
                remaining.discard(index)
                break
    return [index for index in members if index in remaining]


# Exceptions that are raised again #####################################################################################


def eventless_sources_of_restored(
    graph: ControlFlowGraph, entries: list[int], follows: bool
) -> tuple[dict[int, frozenset[int]], dict[int, frozenset[int]]]:
    """Return Plan.eventless_sources and Plan.raised_again for *entries*, those with a RESTORED record.

    The line event of such an entry depends on the place that RERAISE restores. A record may have
    another place, that of the first raise in the frame. Neither a bare `raise` nor the end of a `finally` adds an
    entry to the traceback. If *follows*, the ways from the first raise to the entry are followed to find it.
    """
    if not entries:
        return {}, {}
    eventless = {entry: set(graph.entries[entry].eventless_sources) for entry in entries}
    raised_again: dict[int, set[int]] = {entry: set() for entry in entries}
    if follows:
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
