"""Counts the flow of control in two ways that know nothing of each other: by steps of the interpreter, and by probes.

A program comes in; FlowCounts go out, of all of its code that ran. `StepCounter` runs the plain program, and the
interpreter reports each step from one instruction to the next (flow.replay). `ProbeCounter` runs the program with probes,
recovers the flows, and derives from them. Both take the place of a Trace in `strategies.run`.

Only one part is common: which jumps are decisions (flow.derived.decisions). tests/flow/test_decisions.py checks that by syntax
trees.
"""

import collections
import inspect
import types

import strategies
from flow.codes import index_at
from flow.replay import Replay

from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import JUMPS, OPCODES, RAISES, RESUME, RETURNS, SEND, UNCONDITIONAL_JUMPS, YIELD_VALUE
from instrument.decode.versions import RESUME_OUTSIDE_TRY
from instrument.flow.conservation import recover_flows
from instrument.flow.derived.code_facts import PackedCodeFacts, facts_of, pack_code_facts
from instrument.flow.derived.decisions import add_decisions
from instrument.flow.derived.derivation import add_flow
from instrument.flow.derived.shape import CodeShape
from instrument.flow.graph import build
from instrument.flow.placement import MINIMAL, graph_of, plan
from instrument.link.code_group import group_of
from instrument.link.unlinked_values import nested_code
from instrument.model.flow_counts import RAISED, Arc, FlowCounts, FunctionFlow
from instrument.session.deltas import Span, SpanDelta
from instrument.session.session import Session
from instrument.session.snapshot import take_snapshot

PUSH_EXC_INFO, RETURN_GENERATOR = OPCODES["PUSH_EXC_INFO"], OPCODES["RETURN_GENERATOR"]


def function_of(code):
    """Return the FunctionKey of *code*."""
    return code.co_qualname, code.co_firstlineno


# -- by steps --------------------------------------------------------------------------------------------------------


class CodeSteps:
    """The steps of one code object: how often each instruction ran, each jump went each way, and each line led to another."""

    def __init__(self, code):
        self.instructions = Instructions(code)
        self.graph = build(self.instructions)
        self.shape = CodeShape(facts_of(self.instructions), plan(self.graph))
        self.executed = collections.Counter()
        self.jumps = collections.Counter()
        self.arcs = collections.Counter()
        self.numbers = collections.Counter()
        #: How many exceptions were thrown in that may not have been thrown in if no tool had watched.
        self.unsure = 0
        self._sends = {}
        for index in self.graph.await_loops:
            send = index
            while self.instructions.ops[send] != SEND:
                send -= 1
            self._sends[index] = send

    def goes_on(self, prev, here):
        """Return whether control comes from *prev* to *here* without an exception."""
        instructions = self.instructions
        op = instructions.ops[prev]
        if instructions.ops[here] == PUSH_EXC_INFO or op in RAISES:
            return False
        if prev in self._sends:
            return here == instructions.targets[self._sends[prev]]
        if op in JUMPS:
            target = instructions.targets[prev]
            if here == target + (instructions.n_skipped_at(target) if op == OPCODES["FOR_ITER"] else 0):
                return True
        return here == prev + 1 and op not in UNCONDITIONAL_JUMPS

    def step(self, activation, prev, here):
        """Count the step from *prev* to *here*."""
        ops = self.instructions.ops
        if here in self._sends or (prev in self._sends and here == self._sends[prev]):
            return  # an await goes on
        goes_on = self.goes_on(prev, here)
        if not activation.has_stepped:
            if not goes_on and self.closes_silently(activation, prev):
                activation.is_silent = True
                return
            self.enter(activation, prev, goes_on)
        activation.has_stepped = True
        self.count_raise(prev)
        self.executed[here] += 1
        self.numbers["yielded"] += ops[here] == SEND
        if not goes_on:
            activation.line = None
        elif self.shape.is_conditional(prev):
            self.jumps[prev, here == prev + 1] += 1
            if self.shape.own_lines[prev] is None:
                activation.line = None
        line = self.shape.own_lines[here]
        if line is not None:
            if activation.line not in (None, line):
                self.arcs[activation.line, line] += 1
            activation.line = line

    def count_raise(self, prev):
        """Count the arc of the instruction *prev*, which was left, if it raises each time."""
        line = self.shape.own_lines[prev]
        if line is not None and self.instructions.ops[prev] in RAISES:
            self.arcs[line, RAISED] += 1

    def enter(self, activation, prev, goes_on):
        """Count the entry of a frame at *prev*."""
        instructions, ops = self.instructions, self.instructions.ops
        activation.line = None
        is_start = prev <= instructions.first
        if not goes_on:
            if prev < instructions.first or (is_start and RETURN_GENERATOR in ops):
                self.executed.update(range(ops.index(RETURN_GENERATOR) + 1))
        elif is_start:
            self.numbers["calls"] += 1
            self.executed.update(range(instructions.first + 1))
        else:
            left_at = self._sends.get(prev, prev - 1)
            activation.line = self.shape.own_lines[left_at]
            self.executed[prev] += ops[prev] == RESUME and prev not in self._sends

    def leave(self, activation, prev):
        """Count the end of an activation at *prev*."""
        op = self.instructions.ops[prev]
        if not activation.has_stepped and self.closes_silently(activation, prev):
            return
        if not activation.has_stepped:
            if prev in self._sends and not activation.is_thrown:
                return  # an await goes on
            self.enter(activation, prev, goes_on=False)
            self.numbers["raised"] += 1
        elif op in RETURNS:
            self.numbers["returned"] += 1
            if activation.line is not None:
                self.arcs[activation.line, 0] += 1
        elif op == YIELD_VALUE:
            self.numbers["yielded"] += prev not in self._sends
        else:
            self.numbers["raised"] += 1
            self.count_raise(prev)

    def closes_silently(self, activation, at):
        """Return whether *activation*, a generator that is suspended *at*, is closed without an exception if not traced."""
        instructions = self.instructions
        resume = at + (instructions.ops[at] == YIELD_VALUE)
        is_resume = instructions.ops[resume] == RESUME
        is_outside = bool(RESUME_OUTSIDE_TRY) and is_resume and bool(instructions.args[resume] & RESUME_OUTSIDE_TRY)
        if not is_outside or activation.exception is not GeneratorExit:
            return False
        # `aclose` throws the exception in on any account, and the end of an asynchronous generator does not.
        is_asynchronous = bool(instructions.code.co_flags & inspect.CO_ASYNC_GENERATOR)
        self.unsure += is_asynchronous
        return not is_asynchronous

    def add_to(self, counts):
        """Add all counts to *counts*."""
        code = self.instructions.code
        function = function_of(code)
        edges = [0] * len(self.shape.edges)
        for way in self.shape.edges:
            if way.at >= 0 and self.shape.is_conditional(way.at):
                edges[way.number] = self.jumps[way.at, not way.is_jump]
        add_decisions(counts, self.shape, types.SimpleNamespace(edges=edges))
        for (line, target), count in self.arcs.items():
            arc = Arc(function, line, target)
            counts.arcs[arc] = counts.arcs.get(arc, 0) + count
        for index, count in self.executed.items():
            line = self.instructions.lines[index]
            if line:
                counts.instructions[line] = counts.instructions.get(line, 0) + count
        counts.add_function(function, FunctionFlow(**self.numbers, instructions=sum(self.executed.values())))


class StepCounter(Replay):
    """Runs a program as it is, and counts all steps."""

    def __init__(self, file_name=strategies.FILE_NAME, **_):
        super().__init__(file_name)
        self.steps_of = {}

    def flow_counts(self):
        counts = FlowCounts()
        for steps in self.steps_of.values():
            steps.add_to(counts)
        return counts

    def lines_of_empty_jumps(self):
        """Return the lines of jumps to the next instruction: steps do not tell whether these were taken."""
        lines = set()
        for steps in self.steps_of.values():
            instructions = steps.instructions
            lines.update(instructions.lines[jump] for jump in instructions.jumps if instructions.targets[jump] == jump + 1)
        return lines

    def unsure(self):
        """Return for each function how many exceptions too many it may have raised."""
        counts = collections.Counter()
        for steps in self.steps_of.values():
            counts[function_of(steps.instructions.code)] += steps.unsure
        return counts

    def _call(self, frame, event, argument):
        local = super()._call(frame, event, argument)
        if local is not None:
            activation = self._activations[frame]
            activation.has_stepped = activation.is_thrown = activation.is_silent = False
            activation.exception = activation.line = None
            if id(frame.f_code) not in self.steps_of:
                self.steps_of[id(frame.f_code)] = CodeSteps(frame.f_code)
        return local

    def _local(self, frame, event, argument):
        activation = self._activations[frame]
        if event == "exception":
            activation.exception, _, _ = argument
            activation.is_thrown = not activation.has_stepped
        elif event == "return" and not activation.is_silent:
            self.steps_of[id(frame.f_code)].leave(activation, activation.prev)
        return super()._local(frame, event, argument)

    def _step(self, frame):
        activation = self._activations[frame]
        instructions = activation.code.instructions
        unit = frame.f_lasti // 2
        here = index_at(instructions, unit)
        if here == activation.prev and unit > instructions.starts[here]:
            return  # behind its own prefix
        if here == activation.prev and not activation.has_stepped and instructions.ops[here] == RESUME:
            return  # the instruction that the frame was entered at
        if not activation.is_silent:
            self.steps_of[id(frame.f_code)].step(activation, activation.prev, here)
        activation.prev = here


# -- by probes -------------------------------------------------------------------------------------------------------


class ProbeCounter:
    """Runs a program with probes, and derives the flow counts from their counters."""

    def __init__(self, **_):
        self._counts = FlowCounts()
        #: The lines and functions whose instructions are not known exactly: several of them share one counter for exits.
        self.inexact = set()

    def results(self):
        return types.SimpleNamespace(counts={}, calledfuncs={}, callers={})

    def flow_counts(self):
        return self._counts

    def runctx(self, code, global_names, local_names):
        session = Session(MINIMAL)
        live = session.instrument_exec_code(code, code.co_filename)
        before = take_snapshot(session)
        try:
            exec(live, global_names, local_names)
        finally:
            now = take_snapshot(session)
            self._read(code, session, before, now)

    def _read(self, code, session, before, now):
        codes = nested_code(code)
        facts = PackedCodeFacts(pack_code_facts([facts_of(graph_of(each, MINIMAL).instructions) for each in codes]))
        ran = set()
        for group in session.groups.values():
            changes = {key: n - before.exits.get(key, 0) for key, n in now.exits.items()}
            exits = [(key, n) for key, n in changes.items() if n and group_of(key) == group.number]
            in_flight = [(place, n) for place, n in now.in_flight.items() if n and group_of(place[0]) == group.number]
            readings = before.remaining_of(group), now.remaining_of(group)
            for delta in SpanDelta(Span(group, 0, len(group)), *readings, exits, in_flight).split():
                info = delta.group.recovery_info(delta.index)
                records = {group.exit_at(key, len(info.plan.exits)): n for key, n in delta.exits.items()}
                seen = info.observe(delta.fired, records, delta.in_flight)
                flows = recover_flows(info.plan, seen)
                function = function_of(codes[delta.index])
                add_flow(self._counts, function, facts.facts(delta.index), info.plan, flows)
                check_conservation(flows, info.plan, facts.facts(delta.index), seen)
                ran.add(delta.index)
                if any(delta.fired[probe] for probe, _ in info.plan.exiting):
                    self.inexact |= {function, *[line for line in Instructions(codes[delta.index]).lines if line]}
        for index, each in enumerate(codes):
            if index not in ran:
                add_flow(self._counts, function_of(each), facts.facts(index), plan(graph_of(each, MINIMAL)), None)


def check_conservation(flows, made, facts, seen):
    """Check that each activation that began ended: by a return, a yield or an exception, or is in flight."""
    counts = FlowCounts()
    add_flow(counts, ("f", 1), facts, made, flows)
    (flow,) = counts.functions.values()
    outside = len(made.blocks)
    entered = sum(count for (source, _, _, _), count in zip(made.edges, flows.edges) if source == outside)
    entered += sum(count for index, count in flows.left_at.items() if index in made.outside_block)
    in_flight = sum(seen.in_flight.values())
    assert entered == flow.returned + flow.yielded + flow.raised + in_flight


# -- both ------------------------------------------------------------------------------------------------------------


def difference(stepper, prober):
    """Return a text for each count in which a StepCounter and a ProbeCounter differ that both can know."""
    stepped, probed, unsure = stepper.flow_counts(), prober.flow_counts(), stepper.unsure()
    texts, empty = [], stepper.lines_of_empty_jumps()
    for field in ("decisions", "arcs", "instructions", "functions"):
        ones, others = getattr(stepped, field), getattr(probed, field)
        for key in sorted({*ones, *others}, key=repr):
            one, other = ones.get(key), others.get(key)
            if key in prober.inexact and field == "instructions":
                continue
            if field == "decisions" and key.line in empty:
                continue
            if field == "functions" and one and other:
                if unsure[key] and 0 <= one.raised - other.raised <= unsure[key]:
                    one = one._replace(raised=other.raised, instructions=other.instructions)
                if key in prober.inexact:
                    one = one._replace(instructions=other.instructions)
            if one != other and not (is_nothing(one) and is_nothing(other)):
                texts.append(f"{field}: {key}: {one} by steps, {other} by probes")
    return texts


def differences_in(program):
    """Return the differences between counts by steps and counts by probes of a Program."""
    counters = StepCounter(), ProbeCounter()
    for counter in counters:
        strategies.run(program, lambda counter=counter, **_: counter)
    return difference(*counters)


def is_nothing(count):
    """Return whether *count*, a number or several, is zero or missing."""
    return not (any(count) if isinstance(count, tuple) else count)
