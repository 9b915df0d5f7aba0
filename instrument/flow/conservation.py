"""Recovers counts of lines and entries from the counters of probes.

A Plan and an Observation (counters, records of exits, frames in flight) come in; Counts go out. The flow into each
block equals the flow out of it, along edges or by exits. The chords and the exits are known. So the tree edges follow
one after the other, each at a node where it is the last unknown edge. The time is linear in the size of the graph.

Counts are linear in the counters, so the contribution of each probe to each line is known beforehand
(LineEffects). `flow.fast_recovery` only adds these up. That is enough for code without exits and frames in flight,
which most code is.

A frame in flight has entered a block and not left it yet. Conservation accounts for it as if it left the block at its
current instruction.

Counts that contradict each other are reported, never repaired.
"""

from __future__ import annotations

import sys
from _bisect import bisect_right

from instrument.errors import ConservationError
from instrument.flow.placement_names import MINIMAL
from instrument.flow.plan import ExitKind
from instrument.model.counts import Counts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from instrument.flow.plan import Plan

    #: (instruction, whether the frame is at a code unit that has lost its line: versions.INLINED_CALL_LOSES_LINE). For
    #: the meaning of greater numbers of instructions see Observation.
    Place = tuple[int, bool]


class Observation:
    """Differences between two readings of one code object.

        counters        for each probe, how often it fired
        exits           for each record of the Plan, how often an exit was recorded at each place
        in_flight       for each place, the number of frames there; negative for frames that were there at the first
                        reading
        n_instructions  the number of instructions of the code

    The instruction of a place is n_instructions + k for a frame on the second jump that belongs to probe k. It is
    n_instructions + number of probes + k if a trace function was called for the line of probe k, before the probe
    fired.
    """

    __slots__ = ("counters", "exits", "in_flight", "n_instructions")

    def __init__(
        self,
        counters: Sequence[int],
        exits: Sequence[Mapping[Place, int]],
        in_flight: Mapping[Place, int],
        n_instructions: int,
    ) -> None:
        self.counters = counters
        self.exits = exits
        self.in_flight = in_flight
        self.n_instructions = n_instructions


def recover(plan: Plan, seen: Observation) -> Counts:
    """Return the Counts that follow from *plan* and *seen*; raise ConservationError if they contradict each other."""
    if not any(seen.counters) and not any(seen.exits) and not any(seen.in_flight.values()):
        return Counts()
    departures = _Departures(plan, seen)
    counts = Counts(departures.lines, departures.entered)
    chord_flows: dict[int, int] = {}
    for number, measure in enumerate(plan.measured_by_probe):
        if measure is None:  # exits: among the departures
            continue
        count = _times_passed(plan, seen, departures, number)
        if isinstance(measure, int):
            chord_flows[measure] = count
            continue
        is_entry, lines = measure
        if is_entry:
            counts.entered += count
        for line in lines:
            counts.add(line, count)
    if plan.placement == MINIMAL:
        _count_flows(plan, _flows_of_edges(plan, chord_flows, departures), departures, counts)
    return counts


class Flows:
    """How often control took each way through one code object.

    - `edges`: the flow of each edge.
    - `left_at`: for each instruction, how often control left its block there: by an exit, or in flight.
    - `raised_into`: for each entry, or -1 for outside, how often an exit led there.
    """

    __slots__ = ("edges", "left_at", "raised_into")

    def __init__(self, edges: list[int], left_at: dict[int, int], raised_into: dict[int, int]) -> None:
        self.edges = edges
        self.left_at = left_at
        self.raised_into = raised_into


def recover_flows(plan: Plan, seen: Observation) -> Flows:
    """Return the Flows that follow from *plan*, of the placement `minimal`, and *seen*.

    Raise ConservationError if they contradict each other.
    """
    departures = _Departures(plan, seen)
    chord_flows = {
        measure: _times_passed(plan, seen, departures, number)
        for number, measure in enumerate(plan.measured_by_probe)
        if isinstance(measure, int)
    }
    return Flows(_flows_of_edges(plan, chord_flows, departures), departures.left_at, departures.raised_into)


def _times_passed(plan: Plan, seen: Observation, departures: _Departures, number: int) -> int:
    """Return how often the event occurred that the probe *number* counts."""
    count = seen.counters[number] - departures.not_passed.get(number, 0)
    rollback_at = plan.probes[number].rollback_at
    return count - departures.left_at.get(rollback_at, 0) if rollback_at >= 0 else count


class _Departures:
    """The exits and frames in flight of an Observation, in terms of the Plan.

        left_at      for each instruction, how often control left its block there: by an exit, or in flight
        not_passed   for each probe, how many of its counts are too many, because its edge was not passed
        raised_into  for each entry, or -1 for outside, how often an exit led there
        lines        for each line, the line events of handlers that recorded exits raised
        entered      the number of exceptions that were thrown into generators, which are calls

    Frames that were in flight at the first reading count negative.
    """

    def __init__(self, plan: Plan, seen: Observation) -> None:
        self._plan = plan
        self._n_instructions = seen.n_instructions
        self.left_at: dict[int, int] = {}
        self.not_passed: dict[int, int] = {}
        self.raised_into: dict[int, int] = {}
        self.lines: dict[int, int] = {}
        self.entered = 0
        for (index, _), count in seen.in_flight.items():
            self._leave(index, count)
        for record, (index, has_lost_line), count in _recorded_exits(plan, seen):
            entry, kind = plan.exits[record]
            if kind == ExitKind.RAISED:
                index = self._leave(index, count)
                self.raised_into[entry] = self.raised_into.get(entry, 0) + count
                if index in plan.resumed:
                    self.entered += count
            if entry >= 0:
                self._enter_handler(entry, kind, index, has_lost_line, count)

    def _leave(self, index: int, count: int) -> int:
        """Let control leave *count* times at *index*, as it is in a place; return the instruction that this is."""
        if index >= self._n_instructions:
            index = self._instruction_of_probe(index - self._n_instructions, count)
        index = self._plan.raise_reported_at.get(index, index)
        self.left_at[index] = self.left_at.get(index, 0) + count
        return index

    def _instruction_of_probe(self, number: int, count: int) -> int:
        """Return the instruction for a place at probe *number*, or above probe *number* - number of probes."""
        plan = self._plan
        n_probes = len(plan.probes)
        if number < n_probes:  # the frame is on the second jump: the probe fired, and the first jump is not taken yet
            self.not_passed[number] = self.not_passed.get(number, 0) + count
            return plan.probes[number].index
        # The line event was raised, so the step was made: control leaves the block that it leads to.
        number -= n_probes
        self.not_passed[number] = self.not_passed.get(number, 0) - count
        measure = plan.measured_by_probe[number]
        if isinstance(measure, int):
            _, target, _, _ = plan.edges[measure]
            if target < len(plan.blocks):
                first, _ = plan.blocks[target]
                return first
        return plan.probes[number].index

    def _enter_handler(self, entry: int, kind: str, index: int, has_lost_line: bool, count: int) -> None:
        """Count the line event of *entry* for exceptions from the instruction *index*, if they raise it."""
        plan = self._plan
        _, line, eventless_sources = plan.entries[entry]
        if kind == ExitKind.RESTORED:
            eventless_sources = plan.eventless_sources[entry]
        if line is not None and (has_lost_line or index not in eventless_sources):
            self.lines[line] = self.lines.get(line, 0) + count


def _recorded_exits(plan: Plan, seen: Observation) -> Iterator[tuple[int, Place, int]]:
    """Yield (record, place, how often) for the exits of *seen*, in records and in EXITING probes."""
    for record, places in enumerate(seen.exits):
        for place, count in places.items():
            if count:
                yield record, place, count
    for probe, record in plan.exiting:
        if seen.counters[probe]:
            yield record, (plan.probes[probe].index, False), seen.counters[probe]


def _block_of(plan: Plan, index: int) -> int:
    """Return the block that is left if control leaves at the instruction *index*; -1 if control is in no block."""
    number = bisect_right(plan.blocks, (index, sys.maxsize)) - 1
    if number < 0 or index in plan.outside_block:
        return -1
    _, last = plan.blocks[number]
    return number if index <= last else -1


def _flows_of_edges(plan: Plan, chord_flows: Mapping[int, int], departures: _Departures) -> list[int]:
    """Return the flow of every edge of *plan*; raise ConservationError if there is none."""
    # For each node: the known flow into it less the known flow out of it. The last one is the outside.
    surplus = [0] * (len(plan.blocks) + 1)
    for node, count in _known_inflow(plan, departures):
        surplus[node] += count
    flows = [0] * len(plan.edges)
    for number, flow in chord_flows.items():
        flows[number] = flow
        source, target, _, _ = plan.edges[number]
        surplus[target] += flow
        surplus[source] -= flow
    for number, leaf in plan.settling_order:
        source, target, _, _ = plan.edges[number]
        flow = surplus[leaf] if leaf == source else -surplus[leaf]
        flows[number] = flow
        surplus[target] += flow
        surplus[source] -= flow
    for number, flow in enumerate(flows):
        if flow < 0:
            raise _contradiction_at_edge(plan, flows, departures, number)
    for node, rest in enumerate(surplus):
        if rest:
            raise _contradiction(plan, node, *_sums_at(plan, flows, departures, node))
    return flows


def _known_inflow(plan: Plan, departures: _Departures) -> Iterator[tuple[int, int]]:
    """Yield (node, flow into it) for departures: negative at the blocks that control left.

    A frame in flight leaves its block for the outside.
    """
    outside = len(plan.blocks)
    n_left = n_raised = 0
    for index, count in departures.left_at.items():
        n_left += count
        yield _block_of(plan, index), -count  # -1 is the outside, too
    for entry, count in departures.raised_into.items():
        n_raised += count
        yield _block_of_entry(plan, entry), count
    yield outside, n_left - n_raised


def _block_of_entry(plan: Plan, entry: int) -> int:
    """Return the block of *entry*; the outside if it is -1."""
    if entry < 0:
        return len(plan.blocks)
    block, _, _ = plan.entries[entry]
    return block


def _count_flows(plan: Plan, flows: Sequence[int], departures: _Departures, counts: Counts) -> None:
    """Add the entries and line events that *flows* of all edges imply to *counts*."""
    inflow = [0] * (len(plan.blocks) + 1)
    for (_, target, lines, is_entry), flow in zip(plan.edges, flows):
        if flow:
            inflow[target] += flow
            if is_entry:
                counts.entered += flow
            for line in lines:
                counts.add(line, flow)
    for entry, count in departures.raised_into.items():
        inflow[_block_of_entry(plan, entry)] += count
    _count_events_within_blocks(plan, inflow, departures.left_at, counts)


def _count_events_within_blocks(plan: Plan, inflow: Sequence[int], left_at: Mapping[int, int], counts: Counts) -> None:
    """Add the line events within blocks to *counts*: a block's inflow, less the departures above the event."""
    left_in: dict[int, list[tuple[int, int]]] = {}  # by block: (instruction, how often)
    for index, count in left_at.items():
        left_in.setdefault(_block_of(plan, index), []).append((index, count))
    number = -1
    last = -1
    for index, line in plan.events:
        while last < index:
            number += 1
            _, last = plan.blocks[number]
        flow = inflow[number]
        if not flow and number not in left_in:
            continue
        if number in left_in:
            n_left = sum(count for place, count in left_in[number] if place < index)
            if flow < n_left:
                raise _contradiction(plan, number, flow, n_left, f" above its instruction {index}")
            flow -= n_left
        counts.add(line, flow)


# Contradictions #######################################################################################################


def _sums_at(
    plan: Plan, flows: Sequence[int], departures: _Departures, node: int, without: int = -1
) -> tuple[int, int]:
    """Return the flow into *node* and the flow out of it, not counting the edge *without*."""
    entered = left = 0
    for number, ((source, target, _, _), flow) in enumerate(zip(plan.edges, flows)):
        if number != without:
            entered += flow * (target == node)
            left += flow * (source == node)
    for other, count in _known_inflow(plan, departures):
        if other in (node, node - len(plan.blocks) - 1):
            entered += max(count, 0)
            left += max(-count, 0)
    return entered, left


def _contradiction_at_edge(plan: Plan, flows: Sequence[int], departures: _Departures, number: int) -> ConservationError:
    """Return the error for the edge *number*, which would have been taken less than never."""
    source, target, _, _ = plan.edges[number]
    node = target if source == len(plan.blocks) else source
    entered, left = _sums_at(plan, flows, departures, node, without=number)
    edge = f", not counting the edge from {_name(plan, source)} to {_name(plan, target)}"
    return _contradiction(plan, node, entered, left, edge)


def _contradiction(plan: Plan, node: int, entered: int, left: int, detail: str = "") -> ConservationError:
    return ConservationError(_name(plan, node), entered, left, detail)


def _name(plan: Plan, node: int) -> str:
    return "the outside" if node == len(plan.blocks) else f"block {node}"
