"""From what was counted to how often each line ran.

A Plan and what its counters, its records of exceptional exits and its frames in flight say come in; Counts go out. For
every block, what flows in flows out: along edges, or by exceptional exits. With the chords and the exits known, the
tree edges follow one after the other, each from the one node at which it is the last unknown. Linear in the size of the
graph.

All of it is linear in what was counted, so what each probe adds to every line is known beforehand (`Plan.effects`); of
code that nothing left in its middle, as most is, that is all that has to be added up (`recover_fast`).

A frame in flight, one that runs while counters are read, has entered a block that it has not remaining: conservation
owes
that block a term, exactly as if the frame left at its current instruction.

Counts that contradict each other are reported, never repaired.
"""

from __future__ import annotations

import sys
from _bisect import bisect_right

from instrument.errors import ConservationError
from instrument.flow.placement import MINIMAL, RAISED, RESTORED, Plan
from instrument.model.counts import Counts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Observation:
    """What was seen of one code object between two moments.

    *counters*: how often each probe fired. *exits*: for each of the Plan's records, how often it was made at each
    place. *in_flight*: places of frames that run now, less those of frames that ran at the start. A place is
    (instruction, whether the frame stood where the instruction's line is lost: lines.INLINED_CALL_LOSES_LINE), or
    (number of instructions + k, …) for a frame found on the second jump that belongs to probe k. It is (number of
    instructions + number of probes + k, …) if a trace function was called for the line of probe k, before that fires.
    """

    __slots__ = ("counters", "exits", "in_flight", "n_instructions")

    def __init__(
        self,
        counters: Sequence[int],
        exits: Sequence[Mapping[tuple[int, bool], int]],
        in_flight: Mapping[tuple[int, bool], int],
        n_instructions: int,
    ) -> None:
        self.counters = counters
        self.exits = exits
        self.in_flight = in_flight
        self.n_instructions = n_instructions


def recover(plan: Plan, seen: Observation) -> Counts:
    """Return the Counts that *plan* and *seen* imply; raise ConservationError if these contradict each other."""
    counts = Counts()
    if not any(seen.counters) and not any(seen.exits) and not any(seen.in_flight.values()):
        return counts
    undone, remaining, exits = _unify(plan, seen)
    probed = [
        count - undone.get(number, 0) - (remaining.get(probe.rollback_at, 0) if probe.rollback_at >= 0 else 0)
        for number, (count, probe) in enumerate(zip(seen.counters, plan.probes))
    ]
    _count_exits(plan, exits, counts)
    chords = {}
    for count, measure in zip(probed, plan.measured_by_probe):
        if isinstance(measure, int):
            chords[measure] = count
            continue
        if measure is None:  # among the exits already
            continue
        is_entry, lines = measure
        if is_entry:
            counts.entered += count
        for line in lines:
            counts.add(line, count)
    if plan.placement != MINIMAL:
        return counts
    flows = _settle(plan, chords, remaining, exits)
    inflow = [0] * (len(plan.blocks) + 1)
    for (_, target, lines, is_entry), flow in zip(plan.edges, flows):
        if flow:
            inflow[target] += flow
            if is_entry:
                counts.entered += flow
            for line in lines:
                counts.add(line, flow)
    for record, _, count, _ in exits:
        entry, kind = plan.exits[record]
        if kind == RAISED and entry >= 0:
            inflow[plan.entries[entry][0]] += count
    _count_within_blocks(plan, inflow, remaining, counts)
    if plan.undetermined_edges:
        counts.lines = {line: count for line, count in counts.lines.items() if count}
    return counts


def recover_fast(line_effects: Sequence[tuple[int, ...] | None] | None, counters: Sequence[int]) -> Counts | None:
    """Return what *counters* imply by their *line_effects* alone, those of a Plan; None if that is not all that there
    is to
    be known. So it is faster than `recover`, where no exit was recorded and no frame is in flight.
    """
    if line_effects is None:
        return None
    lines: dict[int, int] = {}
    entered = 0
    for count, effect in zip(counters, line_effects):
        if count:
            if effect is None:
                return None
            entered += count * effect[0]
            for place in range(1, len(effect), 2):
                line = effect[place]
                lines[line] = lines.get(line, 0) + count * effect[place + 1]
    if entered < 0 or any(count < 0 for count in lines.values()):
        return None
    return Counts({line: count for line, count in lines.items() if count}, entered)


def _count_exits(plan: Plan, exits: Sequence[tuple[int, int, int, bool]], counts: Counts) -> None:
    """Add the line events of handlers to *counts*, and the calls that throw an exception into a generator."""
    for record, index, count, event in exits:
        entry, kind = plan.exits[record]
        if event:
            line = plan.entries[entry][1]
            assert line is not None
            counts.add(line, count)
        if kind == RAISED and index in plan.resumed:
            counts.entered += count


def _unify(plan: Plan, seen: Observation) -> tuple[dict[int, int], dict[int, int], list[tuple[int, int, int, bool]]]:
    """Return what to take back from each probe, how often blocks were left at each instruction, and the exits.

    Exits are (record, instruction, how often, whether entering the handler raised its line event).
    """
    n_probes = len(plan.probes)
    undone: dict[int, int] = {}
    remaining: dict[int, int] = {}
    exits = []

    def at(index: int, count: int) -> int:
        if index >= seen.n_instructions:
            number = index - seen.n_instructions
            if number >= n_probes:  # the event was raised, so the step was made: the block that it goes to is left
                number -= n_probes
                undone[number] = undone.get(number, 0) - count
                measure = plan.measured_by_probe[number]
                if isinstance(measure, int) and plan.edges[measure][1] < len(plan.blocks):
                    return plan.blocks[plan.edges[measure][1]][0]
            else:
                undone[number] = undone.get(number, 0) + count
            index = plan.probes[number].index
        return index

    for (index, _), count in seen.in_flight.items():
        index = at(index, count)
        index = plan.raise_reported_at.get(index, index)
        remaining[index] = remaining.get(index, 0) + count
    recorded = [(record, place, count) for record, places in enumerate(seen.exits) for place, count in places.items()]
    recorded += [(record, (plan.probes[probe].index, False), seen.counters[probe]) for probe, record in plan.exiting]
    for record, (index, lost_line), count in recorded:
        entry, kind = plan.exits[record]
        if not count:
            continue
        if kind == RAISED:
            index = at(index, count)
            index = plan.raise_reported_at.get(index, index)
            remaining[index] = remaining.get(index, 0) + count
        event = False
        if entry >= 0:
            _, line, eventless_sources = plan.entries[entry]
            if kind == RESTORED:
                eventless_sources = plan.eventless_sources[entry]
            event = line is not None and (lost_line or index not in eventless_sources)
        exits.append((record, index, count, event))
    return undone, remaining, exits


def _block_of(plan: Plan, index: int) -> int:
    """Return the block that is left when control leaves at *index*, -1 if none is."""
    number = bisect_right(plan.blocks, (index, sys.maxsize)) - 1
    if number < 0 or index > plan.blocks[number][1] or index in plan.outside_block:
        return -1
    return number


def _settle(
    plan: Plan, chords: Mapping[int, int], remaining: Mapping[int, int], exits: Sequence[tuple[int, int, int, bool]]
) -> list[int]:
    """Return the count of every edge of *plan*."""
    outside = len(plan.blocks)
    surplus = [0] * (outside + 1)  # what is known to flow in, less what is known to flow out
    for index, count in remaining.items():
        surplus[_block_of(plan, index)] -= count  # -1 is outside
    arrived = 0
    for record, _, count, _ in exits:
        entry, kind = plan.exits[record]
        if kind == RAISED:
            arrived += count
            surplus[plan.entries[entry][0] if entry >= 0 else outside] += count
    surplus[outside] += sum(remaining.values()) - arrived  # frames in flight are owed to the outside
    flows = [0] * len(plan.edges)
    for number, count in chords.items():
        flows[number] = count
        source, target, _, _ = plan.edges[number]
        surplus[target] += count
        surplus[source] -= count
    for number, leaf in plan.settling_order:
        source, target, _, _ = plan.edges[number]
        flow = surplus[leaf] if leaf == source else -surplus[leaf]
        flows[number] = flow
        surplus[target] += flow
        surplus[source] -= flow
    undetermined_edges = frozenset(plan.undetermined_edges)
    for number, flow in enumerate(flows):
        if flow < 0 and number not in undetermined_edges:
            source, target, _, _ = plan.edges[number]
            raise ConservationError(_contradiction(f"edge {number} from block {source} to block {target}"))
    for node, rest in enumerate(surplus):
        if rest:
            raise ConservationError(_contradiction(f"block {node}"))
    return flows


def _count_within_blocks(plan: Plan, inflow: Sequence[int], remaining: Mapping[int, int], counts: Counts) -> None:
    """Add the line events within blocks to *counts*: a block's inflow, less what left it above the event."""
    leaving: dict[int, list[tuple[int, int]]] = {}
    for index, count in remaining.items():
        leaving.setdefault(_block_of(plan, index), []).append((index, count))
    number = -1
    last = -1
    for index, line in plan.events:
        if index > last:
            while last < index:
                number += 1
                last = plan.blocks[number][1]
        flow = inflow[number]
        if not flow and number not in leaving:
            continue
        if number in leaving:
            flow -= sum(count for place, count in leaving[number] if place < index)
            if flow < 0:
                raise ConservationError(_contradiction(f"instruction {index} of block {number}"))
        counts.add(line, flow)


def _contradiction(where: str) -> str:
    return f"its counts contradict each other at {where}"
