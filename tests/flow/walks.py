"""Random walks through a control-flow graph: what would be observed of them, and what is true.

A ControlFlowGraph, a Plan and a source of chance come in. A World steps through any number of frames, which call, loop,
raise, yield, wait, are thrown into, or never end. Meanwhile it keeps two books. The one of what is seen knows only the
places where probes and exit stubs stand; the one of what is true knows only which edges and instructions were passed.
`observation` is the one place that puts what is seen into the words of `flow.conservation`.
"""

import collections

from instrument.decode.opcodes import CALL, MAY_RERAISE, POP_ITER, RAISES, SEND, YIELD_VALUE
from instrument.decode.versions import INLINED_CALL_LOSES_LINE
from instrument.flow.conservation import Observation
from instrument.flow.graph import EdgeKind
from instrument.flow.plan import ExitKind, ProbePosition
from instrument.model.counts import Counts


def observation(before, after):
    """Return what is seen between the moments *before* and *after*."""
    exits = [
        {place: count for place, count in (now - then).items() if count}
        for now, then in zip(after.exits, before.exits, strict=True)
    ]
    flying = collections.Counter(after.flying)
    flying.subtract(before.flying)
    counters = [now - then for now, then in zip(after.counters, before.counters, strict=True)]
    return Observation(counters, exits, dict(flying), after.n_instructions)


def truth(before, after):
    """Return what happened between the moments *before* and *after*."""
    return Counts(dict(after.lines - before.lines), after.entered - before.entered)


class Moment:
    """Both books of a World, as they stand."""

    def __init__(self, world):
        self.counters = list(world.counters)
        self.exits = [collections.Counter(record) for record in world.exits]
        self.flying = collections.Counter(frame.place for frame in world.frames if frame.place is not None)
        self.n_instructions = len(world.graph.instructions)
        self.lines = collections.Counter(world.lines)
        self.entered = world.entered
        self.n_edges_passed = world.n_edges_passed


class World:
    """Frames that execute the code of *graph*, with the probes of *plan*; *chance* is a `random.Random`. In one that is
    *calm* no instruction raises that does not always do so.
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
        self.entered = 0
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
        """Let randomly chosen frames go on for *n_steps* steps in all, calling the code anew now and then."""
        for _ in range(n_steps):
            if not self.frames or self.chance.random() < 0.05:
                self.frames.append(Frame(self))
            frame = self.chance.choice(self.frames)
            if not frame.step():
                self.frames.remove(frame)

    def finish(self):
        """Let frames go on until none is in flight, or a while has passed."""
        for _ in range(10_000):
            flying = [frame for frame in self.frames if frame.place is not None]
            if not flying:
                break
            if not flying[0].step():
                self.frames.remove(flying[0])

    def fire(self, where, index):
        """Count what passes the probes at *where*, *index*."""
        for number in self.probes[where, index]:
            self.counters[number] += 1


class Frame:
    """One activation. `place` is where it is in flight, None while it is suspended or over."""

    def __init__(self, world):
        self.world = world
        self.place = None
        self.raised_at = [(world.graph.instructions.first, False)]  # every place at which an exception arose
        self.settling_order = self.live()

    def step(self):
        """Go on by one step; return whether there is more to come."""
        return next(self.settling_order, self) is not self

    def happens(self, probability):
        return self.world.chance.random() < probability

    def raises(self, probability):
        return not self.world.calm and self.happens(probability)

    def live(self):
        """Do all that the frame ever does; yield wherever it may be looked at."""
        instructions = self.world.graph.instructions
        if instructions.made_by < instructions.first and self.raises(0.1):
            goes_on_at = self.throw(instructions.made_by)
        else:
            self.place = (instructions.first, False)
            yield
            goes_on_at = self.enter(instructions.first)
        while goes_on_at is not None:
            goes_on_at = yield from self.execute(*goes_on_at)
        self.place = None

    # Each of these returns the block that is next and its first instruction, None if the frame is over or forgotten.

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
        """Pass *edge*, and the probes on it but for those of jumps that are taken."""
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
        if falls or block.first < block.head <= block.last:  # an exhausted FOR_ITER comes behind what it skips
            world.fire(ProbePosition.FALLING, block.head)
        return edge.target, block.head

    def enter(self, at):
        """Come from outside at the RESUME or the SEND at *at*."""
        if self.world.graph.instructions.ops[at] == SEND:
            self.world.fire(ProbePosition.TAKEN, at)
        else:
            self.world.entered += 1
        return self.take(self.world.entries[at])

    def throw(self, index):
        """Have an exception thrown in at *index*."""
        self.world.entered += 1
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
        """Let the exit stub of *index* record an exception from *place*, and the handler's line event be raised."""
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
        """Leave by the yield at the end of *way*, until somebody resumes it, throws something in or nobody does."""
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
        """Leave by the SEND at the end of *way* and turn in its loop until what is waited for ends."""
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
            self.place = (way.at + self.world.chance.randrange(4), False)  # wherever, in the loop
            yield
        return self.leave_by_exception(way.at) if self.raises(0.2) else self.enter(way.at)
