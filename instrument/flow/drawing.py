"""Draws a code object as text: its blocks, instructions and edges, and the probes that a Plan puts there.

A graph, its Plan and the lines of the source come in; lines of text go out. With the flows of a run, each edge and each
exit has the number of times that control took it. The drawing is for people who want to know why a probe stands where
it stands, and for bug reports.

    block 3   4 times
        6 |         if i % 2 and n:
          13  LOAD_FAST 0 (n)                                     exit stub: record 0
          14  POP_JUMP_IF_FALSE 5 -> 19                           exit stub: record 0
              probe 3, if the jump is taken: counts edge 7
            * edge 6 -> block 4: fall, weight 1.25, line 7, probe 2                               3 times
            * edge 7 -> block 5: jump, weight 1.88, line 8, probe 3                               1 times

An instruction begins with its index; a line of the source begins with its number. Edges stand below the instruction
that leads over them, or that control enters at. `*` marks a chord, an edge off the spanning tree.
"""

from __future__ import annotations

from _bisect import bisect_right

from instrument.decode.call_sites import accessed_name
from instrument.decode.opcodes import MAY_RERAISE, OPNAMES, RAISES
from instrument.flow.placement_names import MINIMAL
from instrument.flow.plan import ExitKind, ProbePosition
from instrument.flow.weights import edge_weights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from instrument.flow.conservation import Flows
    from instrument.flow.graph import ControlFlowGraph
    from instrument.flow.plan import Plan

#: Positions of probes that control passes above their instruction; all others are passed below it.
_ABOVE = (ProbePosition.BEFORE, ProbePosition.FALLING)
_WORDS = {
    ProbePosition.BEFORE: "before",
    ProbePosition.FALLING: "before, if control falls into it",
    ProbePosition.TAKEN: "if the jump is taken",
    ProbePosition.INLINED: "behind the call, if it was inlined",
    ProbePosition.RAISING: "on the way to the handler, if it raises",
    ProbePosition.EXITING: "in the exit stub",
}
_WIDTH = 60  # of an instruction and its arrow
_WIDTH_OF_EDGE = 96


def draw(graph: ControlFlowGraph, plan: Plan, source: Sequence[str], flows: Flows | None = None) -> list[str]:
    """Return the drawing of *graph* with the probes of *plan*, as lines.

    *source* are the lines of the source file. With *flows*, edges and exits have their number of times.
    """
    return _Drawing(graph, plan, source, flows).lines()


class _Drawing:
    """The drawing of one code object, and the facts that it needs by instruction."""

    def __init__(self, graph: ControlFlowGraph, plan: Plan, source: Sequence[str], flows: Flows | None) -> None:
        self._graph = graph
        self._plan = plan
        self._source = source
        self._flows = flows
        self._instructions = graph.instructions
        self._weights = edge_weights(graph)
        self._tree = {edge for edge, _ in plan.settling_order}
        self._probe_of_edge = {
            measure: number for number, measure in enumerate(plan.measured_by_probe) if isinstance(measure, int)
        }
        self._first_copy: dict[int, int] = {}  # by index in the code that is not unrolled
        for index, origin in enumerate(self._instructions.origins):
            self._first_copy.setdefault(origin, index)
        self._edges_at: dict[int, list[int]] = {}
        for number, edge in enumerate(graph.edges):
            self._edges_at.setdefault(edge.at, []).append(number)
        self._probes_at: dict[int, list[int]] = {}
        for number, probe in enumerate(plan.probes):
            self._probes_at.setdefault(probe.index, []).append(number)

    def lines(self) -> list[str]:
        """Return all lines of the drawing."""
        graph, plan, code = self._graph, self._plan, self._instructions.code
        sizes = f"{len(graph.blocks)} blocks, {len(graph.edges)} edges, {len(plan.probes)} probes"
        lines = [f"{code.co_qualname}, line {code.co_firstlineno}: {sizes}, {len(plan.exits)} exit records"]
        section: object = None
        source_line: int | None = None
        for index in range(len(self._instructions)):
            block = self._block_around(index)
            if block != section:
                lines += ["", *self._header(block)]
                section, source_line = block, None
            line = self._instructions.lines[index]
            if line is not None and line != source_line:
                lines.append(self._row_of_source(line))
                source_line = line
            lines += self._rows_of_instruction(index)
        return [*lines, "", "exit records", *map(self._row_of_record, range(len(plan.exits)))]

    def _block_around(self, index: int) -> int:
        """Return the block that has the instruction *index*, -1 if none has."""
        graph = self._graph
        number = bisect_right(graph.firsts, index) - 1
        is_within = number >= 0 and index <= graph.blocks[number].last and index not in graph.await_loops
        return number if is_within else -1

    def _header(self, block: int) -> list[str]:
        """Return the first lines of the section for *block*: its number, flow, and the handlers that begin with it."""
        if block < 0:
            return ["no block"]
        rows = [f"block {block}{self._times(self._inflow(block))}"]
        for number, entry in enumerate(self._graph.entries):
            if entry.block == block:
                times = None if self._flows is None else self._flows.raised_into.get(number, 0)
                rows.append(f"  handler {number}{self._times(times)}")
        return rows

    def _inflow(self, block: int) -> int | None:
        """Return how often control entered *block*; None without flows."""
        if self._flows is None:
            return None
        inflow = sum(flow for edge, flow in zip(self._graph.edges, self._flows.edges) if edge.target == block)
        handlers = (number for number, entry in enumerate(self._graph.entries) if entry.block == block)
        return inflow + sum(self._flows.raised_into.get(number, 0) for number in handlers)

    def _row_of_source(self, line: int) -> str:
        text = self._source[line - 1].rstrip() if 0 < line <= len(self._source) else ""
        return f"{line:>5} | {text}".rstrip()

    def _rows_of_instruction(self, index: int) -> list[str]:
        """Return the lines for one instruction: probes above it, itself, probes below it, and its edges."""
        instructions, plan = self._instructions, self._plan
        probes = self._probes_at.get(index, [])
        rows = [self._row_of_probe(number) for number in probes if plan.probes[number].position in _ABOVE]
        target = instructions.targets[index]
        arrow = f" -> {target}" if target >= 0 else ""
        name = accessed_name(instructions, index)
        notes = f" ({name})" if name else ""
        first = self._first_copy[instructions.origins[index]]
        notes += f" (copy of {first})" if first != index else ""
        text = f"{index:>8}  {OPNAMES[instructions.ops[index]]} {instructions.args[index]}{arrow}{notes}"
        exit_ = self._exit_of(index)
        rows.append(f"{text:<{_WIDTH}} {exit_}".rstrip())
        rows += [self._row_of_probe(number) for number in probes if plan.probes[number].position not in _ABOVE]
        rows += [self._row_of_edge(number) for number in self._edges_at.get(index, [])]
        return rows

    def _row_of_probe(self, number: int) -> str:
        probe, measure = self._plan.probes[number], self._plan.measured_by_probe[number]
        if isinstance(measure, int):
            counted = f"edge {measure}"
        elif measure is None:
            counted = "exits"
        else:
            is_entry, lines = measure
            counted = ", ".join([*(["entries"] if is_entry else []), *(f"line {line}" for line in lines)])
        return f"          probe {number}, {_WORDS[probe.position]}: counts {counted}"

    def _row_of_edge(self, number: int) -> str:
        edge = self._graph.edges[number]
        parts = [edge.kind]
        if self._plan.placement == MINIMAL:
            parts.append(f"weight {self._weights[number]:.3g}")
        parts += [f"line {line}" for line in edge.lines]
        mark = " "
        if self._plan.placement == MINIMAL:
            if number not in self._tree:
                mark = "*"
            if number in self._probe_of_edge:
                parts.append(f"probe {self._probe_of_edge[number]}")
        text = f"        {mark} edge {number} -> {self._graph.name(edge.target)}: {', '.join(parts)}"
        if self._flows is None:
            return text
        return f"{text:<{_WIDTH_OF_EDGE}}{self._times(self._flows.edges[number])}".rstrip()

    def _row_of_record(self, number: int) -> str:
        """Return the line for the exit record *number*: the exceptions that it records."""
        entry, kind = self._plan.exits[number]
        goal = f"that go to handler {entry}" if entry >= 0 else "that leave the code"
        place = ", with the place that RERAISE restores" if kind == ExitKind.RESTORED else ""
        return f"  record {number}: exceptions {goal}{place}"

    def _exit_of(self, index: int) -> str:
        """Return the exit stub for exceptions of the instruction *index*, and how often they left there."""
        instructions, plan = self._instructions, self._plan
        handler = instructions.handlers[index]
        if index < instructions.throwable_from:
            return ""
        if instructions.ops[index] in RAISES or instructions.ops[index] in MAY_RERAISE:
            key = handler, ExitKind.RESTORED
            is_recorded = self._graph.restores_place(index) and key in plan.exits
            return f"exit stub: record {plan.exits.index(key)}" if is_recorded else ""
        if index in plan.stubs:
            text = f"exit stub: probe {plan.stubs[index]}"
        elif (handler, ExitKind.RAISED) in plan.exits:
            text = f"exit stub: record {plan.exits.index((handler, ExitKind.RAISED))}"
        else:
            return ""
        times = self._flows.left_at.get(index, 0) if self._flows is not None else 0
        return f"{text}{self._times(times)}" if times else text

    def _times(self, times: int | None) -> str:
        """Return the text for *times*, which is None if there was no run."""
        return "" if times is None else f"   {times} times"
