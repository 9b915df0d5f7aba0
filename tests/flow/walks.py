"""Simulates frames that walk through a control-flow graph at random, with the counters and with the true counts.

A ControlFlowGraph, a Plan and a source of chance come in. A World steps through any number of frames, which call, loop,
raise, yield, wait, are thrown into, or never end. It keeps two books that know nothing of each other. The one of the
counters only knows the positions of probes and exit stubs. The one of the truth only knows the edges and instructions
that frames pass. `observation` returns the former as an Observation for `flow.conservation`.
"""

import collections

from instrument.decode.opcodes import CALL, MAY_RERAISE, POP_ITER, RAISES, SEND, YIELD_VALUE
from instrument.decode.versions import INLINED_CALL_LOSES_LINE
from instrument.flow.conservation import Observation
from instrument.flow.graph import EdgeKind
from instrument.flow.plan import ExitKind, ProbePosition
from instrument.model.counts import Counts


def observation(before, after):
    """Return the Observation of the time between the moments *before* and *after*."""
    exits = [
        {place: count for place, count in (now - then).items() if count}
        for now, then in zip(after.exits, before.exits, strict=True)
    ]
    flying = collections.Counter(after.flying)
    flying.subtract(before.flying)
    counters = [now - then for now, then in zip(after.counters, before.counters, strict=True)]
    return Observation(counters, exits, dict(flying), after.n_instructions)


def truth(before, after):
    """Return the true Counts of the time between the moments *before* and *after*."""
    counts = Counts(dict(after.lines - before.lines))
    for field in Counts.__slots__:
        if field != "lines":
            assert field in NUMBERS, f"walks.World does not count {field!r}: count it there, and name it in NUMBERS"
            setattr(counts, field, after.numbers[field] - before.numbers[field])
    return counts


#: The numbers that a World counts: entries of any kind, and exceptions thrown into a frame. A field of Counts that has
#: the name of a number must equal this number.
NUMBERS = ("entered", "thrown")


class Moment:
    """A copy of both books of a World."""

    def __init__(self, world):
        self.counters = list(world.counters)
        self.exits = [collections.Counter(record) for record in world.exits]
        self.flying = collections.Counter(frame.place for frame in world.frames if frame.place is not None)
        self.n_instructions = len(world.graph.instructions)
        self.lines = collections.Counter(world.lines)
        self.numbers = collections.Counter(world.numbers)
        self.n_edges_passed = world.n_edges_passed


class World:
    """Frames that execute the code of *graph* with the probes of *plan*; *chance* is a `random.Random`.

    If *calm*, only instructions that always raise do raise.
    """

    def __init__(self, graph, plan, chance, calm=False):
        self.graph = graph
        self.plan = plan
        self.chance = chance
        self.calm = calm
        self.frames = []
        self.counters = [0] * len(plan.probes)
        self.exits = [collections.Counter() for _ in plan.exits]
        self.lines = collections.Counter()
        self.numbers = collections.Counter()
        self.n_edges_passed = 0
        self.probes = collections.defaultdict(list)
        for number, probe in enumerate(plan.probes):
            self.probes[probe.position, probe.index].append(number)
        self.events = dict(graph.events)
        self.inlinable = {call: line for call, line, _ in graph.inlinable_calls}
        self.entries = {edge.at: edge for edge in graph.edges if edge.kind == EdgeKind.ENTER}
        self.ways = collections.defaultdict(list)
        for edge in graph.edges:
            if edge.kind != EdgeKind.ENTER:
                self.ways[edge.source].append(edge)

    def run(self, n_steps):
        """Let randomly chosen frames go on for *n_steps* steps in all; call the code anew now and then."""
        for _ in range(n_steps):
            if not self.frames or self.chance.random() < 0.05:
                self.frames.append(Frame(self))
            frame = self.chance.choice(self.frames)
            if not frame.step():
                self.frames.remove(frame)

    def finish(self):
        """Let frames go on until none is in flight, for 10,000 steps at most."""
        for _ in range(10_000):
            flying = [frame for frame in self.frames if frame.place is not None]
            if not flying:
                break
            if not flying[0].step():
                self.frames.remove(flying[0])

    def fire(self, position, index):
        """Count one for each probe at *position* of the instruction *index*."""
        for number in self.probes[position, index]:
            self.counters[number] += 1


class Frame:
    """One activation of the code. `place` is its place in flight, or None while it is suspended or over."""

    def __init__(self, world):
        self.world = world
        self.place = None
        self.raised_at = [(world.graph.instructions.first, False)]  # all places at which an exception was raised
        self.steps = self.live()

    def step(self):
        """Go on by one step; return whether there is more to come."""
        return next(self.steps, self) is not self

    def happens(self, probability):
        return self.world.chance.random() < probability

    def raises(self, probability):
        return not self.world.calm and self.happens(probability)

    def live(self):
        """Run the frame; yield at each place where counters may be read."""
        instructions = self.world.graph.instructions
        if instructions.throwable_from < instructions.first and self.raises(0.1):
            next_block = self.throw(instructions.throwable_from)
        else:
            self.place = (instructions.first, False)
            yield
            next_block = self.enter(instructions.first)
        while next_block is not None:
            next_block = yield from self.execute(*next_block)
        self.place = None

    # Each of these methods returns the next block and its first instruction, or None if the frame is over or abandoned.

    def execute(self, number, head):
        """Execute the block *number* from *head* on."""
        world = self.world
        ops, block = world.graph.instructions.ops, world.graph.blocks[number]
        for index in range(head, block.last + 1):
            op = ops[index]
            if index in world.events:
                world.lines[world.events[index]] += 1
            if index > block.head and ops[index - 1] == POP_ITER:
                world.fire(ProbePosition.FALLING, index)
            world.fire(ProbePosition.BEFORE, index)
            if op in (SEND, YIELD_VALUE):
                break
            self.place = (index, self.loses_its_line(op))
            yield
            if op not in RAISES | MAY_RERAISE and index not in world.plan.raise_reported_at and self.raises(0.03):
                return self.leave_by_exception(index)
        way = world.chance.choice(world.ways[number])
        if way.kind == EdgeKind.LEAVE and ops[way.at] == SEND:
            return (yield from self.wait(way))
        if way.kind == EdgeKind.LEAVE and ops[way.at] == YIELD_VALUE:
            return (yield from self.suspend(way))
        if way.at in world.inlinable and self.happens(0.5):
            world.lines[world.inlinable[way.at]] += 1
            world.fire(ProbePosition.INLINED, way.at)
        taken = world.probes[ProbePosition.TAKEN, way.at] if way.kind == EdgeKind.JUMP else []
        for probe in taken:
            world.counters[probe] += 1
            self.place = (len(ops) + probe, False)  # on the second jump: the first is still to be taken
            yield
        return self.take(way)

    def take(self, edge):
        """Pass *edge*, and the probes on it except those of jumps that are taken."""
        world = self.world
        world.n_edges_passed += 1
        world.lines.update(edge.lines)
        if edge.kind in (EdgeKind.RAISE, EdgeKind.RERAISED):
            world.fire(ProbePosition.RAISING, edge.at)
            if world.graph.restores_place(edge.at):
                self.record(ExitKind.RESTORED, edge.at, world.chance.choice(self.raised_at))
        if edge.target == world.graph.outside:
            return None
        block = world.graph.blocks[edge.target]
        falls = edge.kind == EdgeKind.FALL or (edge.kind == EdgeKind.ENTER and world.graph.instructions.ops[edge.at] != SEND)
        if falls or block.first < block.head <= block.last:  # an exhausted FOR_ITER arrives below the instructions that it skips
            world.fire(ProbePosition.FALLING, block.head)
        return edge.target, block.head

    def enter(self, at):
        """Enter from outside at the RESUME or the SEND *at*."""
        if self.world.graph.instructions.ops[at] == SEND:
            self.world.fire(ProbePosition.TAKEN, at)
        else:
            self.world.numbers["entered"] += 1
        return self.take(self.world.entries[at])

    def throw(self, index):
        """Let an exception be thrown in at *index*."""
        self.world.numbers.update(("entered", "thrown"))
        return self.leave_by_exception(index)

    def leave_by_exception(self, index):
        """Raise at *index*."""
        instructions = self.world.graph.instructions
        place = index, self.loses_its_line(instructions.ops[index])
        if self.world.plan.raise_reported_at.get(index - 1) == index and self.happens(0.5):
            place = index - 1, False  # the two were run as one
        self.raised_at.append(place)
        self.record(ExitKind.RAISED, index, place)
        handler = instructions.handlers[index]
        if handler < 0:
            return None
        return self.world.graph.entries[handler].block, instructions.table[handler].target

    def record(self, kind, index, place):
        """Record an exception from *place* as the exit stub of *index* does, and raise the line event of the handler."""
        world = self.world
        handler = world.graph.instructions.handlers[index]
        if kind == ExitKind.RAISED and index in world.plan.stubs:
            world.counters[world.plan.stubs[index]] += 1
        elif (handler, kind) in world.plan.exits:
            world.exits[world.plan.exits.index((handler, kind))][place] += 1
        if handler >= 0:
            entry = world.graph.entries[handler]
            if entry.line is not None and (place[1] or place[0] not in entry.eventless_sources):
                world.lines[entry.line] += 1

    def loses_its_line(self, op):
        return INLINED_CALL_LOSES_LINE and op in (CALL, SEND) and self.happens(0.5)

    def suspend(self, way):
        """Leave by the yield at the end of *way*. The frame is then resumed, thrown into, or abandoned."""
        self.take(way)
        self.place = None
        yield
        if self.happens(0.1):
            return None
        if self.raises(0.2):
            return self.throw(way.at + self.world.chance.randrange(2))  # versions differ: at the yield or its RESUME
        self.place = (way.at + 1, False)
        yield
        return self.enter(way.at + 1)

    def wait(self, way):
        """Leave by the SEND at the end of *way*, and turn in its loop until the awaited object ends."""
        self.take(way)
        self.place = (way.at, self.loses_its_line(SEND))
        yield
        while self.happens(0.4):
            self.place = None
            yield
            if self.happens(0.1):
                return None
            if self.raises(0.2):
                return self.throw(way.at + 1 + self.world.chance.randrange(2))
            self.place = (way.at + self.world.chance.randrange(4), False)  # anywhere in the loop
            yield
        return self.leave_by_exception(way.at) if self.raises(0.2) else self.enter(way.at)
