"""Where exceptions go: straight to their handler, or to an exit stub first.

A graph and its Plan come in; the *route* of each instruction's exceptions goes out. It is a pair of a kind and a
number, or None if the exceptions leave the code without being counted. The kinds are:

    DIRECT, handler                 straight to the handler
    ExitKind.RAISED, handler        to the stub that records the instruction that raised
    ExitKind.RESTORED, handler      to the stub that records the place that a RERAISE restored
    ProbePosition.RAISING, index    to the stub that counts the exceptions that the instruction at *index* raises
    ProbePosition.EXITING, probe    to the stub with the probe that counts exits of this and equivalent instructions

A handler is a number in `Instructions.table`; -1 is outside of the code.
"""

from __future__ import annotations

from _operator import is_not
from itertools import compress

from instrument.decode.opcodes import END_ASYNC_FOR, MAY_RERAISE, RAISES, RERAISE, flags_of
from instrument.flow.plan import ExitKind, ProbePosition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.flow.graph import ControlFlowGraph
    from instrument.flow.plan import Plan

    Route = tuple[str, int]

DIRECT = "direct"
_MAY_RERAISE = flags_of(RAISES | MAY_RERAISE)


class ExceptionRoutes:
    """The routes of the exceptions of one code object, as its Plan wants them counted.

    - `by_instruction`: the route of exceptions that each instruction raises.
    - `changes`: the instructions whose exceptions may take another route than those of the instruction above.
    - `traced`: the route of exceptions that a trace function raises at the line event of each instruction.
    - `recorded`: the route to the handler of each instruction by its exit record, or straight to the handler if the
      Plan has no such record.
    """

    __slots__ = (
        "_exits",
        "_graph",
        "_instructions",
        "_plan",
        "_raising",
        "by_instruction",
        "changes",
        "recorded",
        "traced",
    )

    def __init__(self, graph: ControlFlowGraph, plan: Plan) -> None:
        self._graph = graph
        self._instructions = instructions = graph.instructions
        self._plan = plan
        self._exits = {key: number for number, key in enumerate(plan.exits)}
        self._raising = frozenset([probe.index for probe in plan.probes if probe.position == ProbePosition.RAISING])
        handlers, ops = instructions.handlers, instructions.ops
        if instructions.table:
            to_record = [self._to_record(handler) for handler in (*range(len(instructions.table)), -1)]
            self.recorded = list(map(to_record.__getitem__, handlers))
        else:
            self.recorded = [self._to_record(-1)] * len(ops)
        self.traced = self.recorded.copy()
        # No exception can be thrown into the code before that.
        start = instructions.throwable_from
        self.traced[:start] = map(_direct, handlers[:start])
        self.by_instruction = routes = self.recorded.copy()
        of_probe = {number: (ProbePosition.EXITING, number) for number in set(plan.stubs.values())}
        for index, number in plan.stubs.items():
            routes[index] = of_probe[number]
        for index in compress(range(len(ops)), ops.translate(_MAY_RERAISE)):
            routes[index] = self._of_raise(index)
        routes[:start] = self.traced[:start]
        # Equal neighbours are mostly the same object.
        self.changes = list(compress(range(1, len(routes)), map(is_not, routes[1:], routes)))

    def _to_record(self, handler: int) -> Route | None:
        return (ExitKind.RAISED, handler) if (handler, ExitKind.RAISED) in self._exits else _direct(handler)

    def _of_raise(self, index: int) -> Route | None:
        """Return the route of exceptions of the instruction *index*, which raises or may reraise."""
        instructions = self._instructions
        handler = instructions.handlers[index]
        if index in self._raising:
            return ProbePosition.RAISING, index
        if (
            instructions.ops[index] == RERAISE
            and instructions.args[index]
            and (handler, ExitKind.RESTORED) in self._exits
        ):
            return ExitKind.RESTORED, handler
        return _direct(handler)

    def handler_of(self, route: Route) -> int:
        """Return the handler that *route* ends at, -1 if the exception leaves the code."""
        kind, number = route
        if kind == ProbePosition.EXITING:
            number = self._plan.probes[number].index
        return self._instructions.handlers[number] if kind in (ProbePosition.EXITING, ProbePosition.RAISING) else number

    def exit_record(self, route: Route) -> int:
        """Return the number of the exit record of *route*, which must be of the kind RAISED or RESTORED."""
        kind, handler = route
        return self._exits[handler, kind]

    def must_reraise(self, route: Route) -> bool:
        """Return whether the stub of *route* must reach its handler by a RERAISE, and not by a jump.

        RERAISE restores the place that raised. By this place the interpreter decides whether the handler raises a line
        event. So the handler raises none where it would raise none without the stub.
        """
        handler = self.handler_of(route)
        if handler < 0:
            return False
        kind, number = route
        instructions, entry = self._instructions, self._graph.entries[handler]
        if instructions.ops[instructions.table[handler].target] == END_ASYNC_FOR:
            return True
        if kind == ProbePosition.EXITING:
            return self._plan.probes[number].index in entry.eventless_sources
        if kind == ExitKind.RESTORED or (kind == ProbePosition.RAISING and self._graph.restores_place(number)):
            return bool(entry.eventless_sources)
        if kind == ProbePosition.RAISING:
            return number in entry.eventless_sources
        handlers = instructions.handlers
        return any(handlers[index] == handler for index in entry.eventless_sources)


def _direct(handler: int) -> Route | None:
    return (DIRECT, handler) if handler >= 0 else None
