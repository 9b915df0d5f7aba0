"""Code object in, unlinked code out.

A code object, its graph and its Plan come in; `Unlinked` goes out: the same code with probes at the places of the Plan
and with every exceptional exit led through a stub that records it. Counters are still placeholders in `co_consts`, so
the result can be stored; `link.counters` links it.

Nothing of the original is changed but the distances of jumps: instructions, constants, names, positions and handlers
stay as the compiler made them, which `verify` checks against the finished code object before anyone runs it.

What is emitted are pieces: an instruction with its prefixes and caches, or a probe, and the location of all of that.
The tables of locations and of handlers are written by `bytecode.ConcreteBytecode`. It could take apart and put together
all of the code, one object for each code unit: that takes nearly three times as long [3.12, networkx: 4.9 s, and 1.8].
The more comfortable `bytecode.Bytecode` orders constants and names anew, and takes twice as long again.
"""

from __future__ import annotations

import sys
from _functools import partial  # type: ignore[import-not-found]
from _operator import attrgetter, itemgetter
from itertools import accumulate

from instrument.decode.call_sites import passes_keywords, start_of_call
from instrument.decode.instructions import Instructions, exception_table
from instrument.decode.opcodes import (
    BACKWARD,
    CACHES,
    CALL_FUNCTION_EX,
    CALL_KW,
    END_ASYNC_FOR,
    ENDS_LOOP,
    EXTENDED_ARG,
    FOR_ITER,
    JUMPS,
    MAY_RERAISE,
    NOT_TAKEN,
    OPCODES,
    OPNAMES,
    PLAIN_JUMPS,
    RAISES,
    RERAISE,
    RESUME,
    SEND,
)
from instrument.decode.unrolling import is_faithful, takes_no_space
from instrument.decode.versions import INLINED_CALL_LOSES_LINE, PY311, SEND_IS_SHORT
from instrument.errors import RewriteError
from instrument.flow.graph import ControlFlowGraph
from instrument.flow.misattributed_raises import must_be_told_apart
from instrument.flow.placement import (
    BEFORE,
    CALLING,
    EXITING,
    FALLING,
    INLINED,
    NOTHING,
    RAISED,
    RAISING,
    RESTORED,
    TAKEN,
    WHERE,
    Plan,
    is_left_above,
)
from instrument.guest.isolation import bytecode
from instrument.rewrite import probes
from instrument.rewrite.constant_layout import layout_of
from instrument.rewrite.path_check import wrong_way

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType
    from typing import Any

    from bytecode import ConcreteBytecode
    from bytecode.concrete import ExceptionTableEntry

    Cover = tuple[str, int] | None

_JUMP_BACKWARD = OPCODES["JUMP_BACKWARD"]
_JUMP_FORWARD = OPCODES["JUMP_FORWARD"]
_JUMP_BACKWARD_NO_INTERRUPT = OPCODES["JUMP_BACKWARD_NO_INTERRUPT"]
_SWAP = OPCODES["SWAP"]
#: Whether an interrupt at a jump back looks for its handler at the instruction above the jump's target.
_INTERRUPTED_ABOVE = sys.version_info < (3, 13)
_DIRECT = "direct"  # to the handler that was always there


class Unlinked:
    """Rewritten code with placeholders for its counters, and all that linking and reading need to know of it.

    code            constants are those of the original, then placeholders: counters in the order of the Plan's probes,
                    bases of exits in the order of the Plan's exits, one TracebackOf, the list of late exits, the
                    range of counts, what prepares code that is handed over, a WasInlined for each call that the Plan
                    asks about, the records of exits, and the first base
    units           the place of each of the *n_instructions* originals in code units, ascending; places behind those
                    are second jumps
    instructions    what stands at the places of second jumps: number of instructions + number of the probe, or an
                    instruction
    unfired         the place in code units of each probe where a trace function may raise an exception before it fires,
                    0 for others
    plan            the Plan
    inlinable       names of the methods that the calls are of which the Plan asks about, or None
    """

    __slots__ = (
        *("code", "inlinable", "instructions", "n_exits", "n_instructions", "n_probes", "plan", "unfired", "units"),
    )

    def __init__(
        self,
        code: CodeType,
        plan: Plan,
        n_instructions: int,
        units: Sequence[int],
        instructions: Sequence[int],
        unfired: Sequence[int],
    ) -> None:
        self.code = code
        self.plan = plan
        self.n_probes = len(plan.probes)
        self.n_exits = len(plan.exits)
        self.inlinable = tuple(plan.inlinable)
        self.n_instructions = n_instructions
        self.units = tuple(units)
        self.instructions = tuple(instructions)
        self.unfired = tuple(unfired)


def rewrite(graph: ControlFlowGraph, plan: Plan) -> Unlinked:
    """Return the code of *graph* with the probes and exit stubs of *plan*; raise RewriteError if it does not verify."""
    instructions = graph.instructions
    code = instructions.code
    unlinked = _Rewriting(graph, plan).assemble()
    problem = verify(code, instructions, unlinked) or wrong_way(graph, plan, unlinked.code, unlinked.units)
    if problem:
        where = f"{code.co_filename}:{code.co_firstlineno}: {code.co_qualname}"
        raise RewriteError(f"{where} cannot be rewritten: {problem}")
    return unlinked


class Location(tuple):  # type: ignore[type-arg]
    """What `co_positions` says of one code unit, as `bytecode` wants to be told of it."""

    __slots__ = ()
    lineno: Any = property(itemgetter(0))
    end_lineno: Any = property(itemgetter(1))
    col_offset: Any = property(itemgetter(2))
    end_col_offset: Any = property(itemgetter(3))


_NOWHERE = Location((None, None, None, None))


class _Rewriting:
    """The state of rewriting one code object: what has been emitted, and the jumps and covers still to be resolved.

    A *place* is the number of a piece in `out`.
    """

    def __init__(self, graph: ControlFlowGraph, plan: Plan) -> None:
        self.graph = graph
        self.instructions = instructions = graph.instructions
        self.plan = plan
        code = instructions.code
        n = len(instructions)
        self.raw = code.co_code
        self.positions = list(code.co_positions())
        self.out: list[bytes] = []
        self.locations: list[Location] = []  # of each piece
        self.location = _NOWHERE  # the one that was made last
        self.arrival = [0] * (n + 1)  # where jumps to an instruction land
        self.entrance = [0] * (n + 1)  # where control that falls into an instruction arrives
        self.place = [0] * n  # where the instruction itself is, or what precedes it of its piece
        self.jumps: list[tuple[int, int, int, bool]] = []  # (place of the jump, op, key of its target, backward)
        self.labels: list[int] = []
        self.handler_ranges: list[tuple[int, Cover]] = []  # (from this place on, led to)
        self.second_jumps: list[tuple[int, int]] = []  # (place, probe), later (place, what stands there)
        self.unfired: dict[int, int] = {}  # where each probe begins
        self.stub_of: dict[tuple[str, int], int] = {}  # label of each stub
        self.fallbacks: list[tuple[int, int, int, int]] = []  # (start, stop, label, depth)
        self.rethrown: list[tuple[int, int]] = []  # (place of a RERAISE that ends a stub, handler)
        self.layout = layout_of(code, plan)
        self.exits = {key: number for number, key in enumerate(plan.exits)}
        self.names = list(code.co_names)
        if probes.LASTI_IS_AN_INT:
            self.traceback = self.tb_lasti = 0
        else:
            self.names += [name for name in ("__traceback__", "tb_lasti") if name not in code.co_names]
            self.traceback, self.tb_lasti = self.names.index("__traceback__"), self.names.index("tb_lasti")
        by_place: dict[str, dict[int, list[int]]] = {where: {} for where in WHERE}
        for number, probe in enumerate(plan.probes):
            by_place[probe.where].setdefault(probe.index, []).append(number)
        self.before, self.falling = by_place[BEFORE], by_place[FALLING]
        self.taken, self.raising = by_place[TAKEN], by_place[RAISING]
        # Where nothing falls into the target of a jump, the probe of one such jump can stand right before it.
        self.landing: dict[int, int] = {}
        for index in sorted(self.taken, key=lambda index: instructions.ops[index] != SEND):
            target = instructions.targets[index]
            if not instructions.falls_into(target) and not instructions.n_skipped_at(target):
                self.landing.setdefault(target, index)
        # In 3.11 a step back on one line is a line event. Where the jump is none, the probe stands above the target.
        self.above: dict[int, list[int]] = {}
        self.above_label: dict[int, int] = {}
        for index in self.taken if PY311 else ():
            target = instructions.targets[index]
            if self.landing.get(target) != index and index < target and not graph.line_events.fires(index, target):
                self.above.setdefault(target, []).append(index)
        self.landing_label: dict[int, int] = {}
        self.turns: list[tuple[int, int]] = []  # (label, jump back that goes to a copy of the loop further below)
        self.pads: dict[int, int] = {}  # for the head of a copy of a loop: where jumps land that stay on one line
        self.inlined = {index: numbers[0] for index, numbers in by_place[INLINED].items()}
        #: Instructions that must not stand right behind the one above.
        self.apart = must_be_told_apart(graph) if PY311 and plan.placement != NOTHING else frozenset()
        self.prepared: dict[int, bytes] = {}
        for number, call in enumerate(self.inlined):
            start = start_of_call(instructions, call)
            ask = probes.ask_whether_inlined(instructions.args[call], self.layout.first_was_inlined + number)
            self.prepared[start] = self.prepared.get(start, b"") + ask
        for call, namespace in plan.exec_calls:
            has_keywords = instructions.ops[call] == CALL_KW
            start = start_of_call(instructions, call)
            if instructions.ops[call] == CALL_FUNCTION_EX:
                exchange_code = probes.exchange_exec_arguments(
                    passes_keywords(instructions, call), self.layout.exchange
                )
            else:
                exchange_code = probes.exchange_exec_argument(
                    instructions.args[call], namespace, has_keywords, self.layout.exchange
                )
            self.prepared[start] = self.prepared.get(start, b"") + exchange_code

    # Emitting
    # ##########################################################################################################

    def assemble(self) -> Unlinked:
        instructions = self.instructions
        targeted_backward = {
            target
            for index, (op, target) in enumerate(zip(instructions.ops, instructions.targets))
            if 0 <= target <= index and op in JUMPS
        }
        targeted_backward.update(instructions.targets[index] for index in instructions.turns)
        for index in range(len(instructions)):
            self._copy(index, index in targeted_backward)
        self._cover(None)
        self._emit_second_jumps()
        self._emit_turns()
        self._emit_stubs()
        offsets = self._resolve_jumps()
        code = self._finish(offsets)
        for place, op, _, _ in self.jumps:  # prefixes stand before them, as many as turned out to be needed
            offsets[place] = offsets[place + 1] - 1 - CACHES[op]
        places = [
            offsets[place] + (0 if target >= 0 else unit - start)
            for place, target, unit, start in zip(
                self.place, instructions.targets, instructions.units, instructions.starts
            )
        ]
        places += [offsets[place] for place, _ in self.second_jumps]
        behind = [number for _, number in self.second_jumps]
        begin = self.unfired
        unfired = [offsets[begin[number]] if number in begin else 0 for number in range(len(self.plan.probes))]
        return Unlinked(code, self.plan, len(instructions), places, behind, unfired)

    def _emit(self, piece: bytes, location: Location) -> None:
        self.out.append(piece)
        self.locations.append(location)

    def _location_at(self, unit: int) -> Location:
        position = self.positions[unit]
        if position != self.location:
            self.location = Location(position)
        return self.location

    def _copy(self, index: int, is_loop_head: bool) -> None:
        instructions = self.instructions
        unit = instructions.units[index]
        location = self._location_at(unit)
        op = instructions.ops[index]
        above = len(self.out)
        if index > instructions.first:
            self._fall_into(index, is_loop_head, location)
        self.arrival[index] = len(self.out)
        if index in self.before:
            self._cover(self._handler_at_for_tracer(index))
            self._emit_probes(self.before[index], location)
            if index > instructions.first and is_left_above(op):
                self._lead_as_above(index, location)
        self._cover(self._handler_at(index))
        if index in self.apart and len(self.out) == above:
            self._emit(probes.nop(), location)
        if index in self.prepared:
            self._emit(self.prepared[index], location)
        if instructions.targets[index] >= 0:
            self._copy_jump(index, location)
            return
        self.place[index] = len(self.out)
        if op == RESUME and self.plan.placement in CALLING:
            self._emit(probes.resume(instructions.args[index]), location)
        else:
            self._copy_units(instructions.starts[index], unit + 1 + CACHES[op], location)
        if index in self.inlined:
            # A call that was inlined loses its line, so that what follows raises an event: the probe has none, either.
            ask, count = probes.count_if_inlined(self._probe(self.inlined[index]))
            self._emit(ask, location)
            self._emit(count, _NOWHERE)

    def _copy_units(self, start: int, stop: int, location: Location) -> None:
        """Emit code units from *start* on: in one piece, unless they are in several places, as no compiler has it."""
        if stop - start == 1 or self.positions[start:stop].count(location) == stop - start:
            self._emit(self.raw[2 * start : 2 * stop], location)
            return
        for unit in range(start, stop):
            self._emit(self.raw[2 * unit : 2 * unit + 2], self._location_at(unit))

    def _fall_into(self, index: int, is_loop_head: bool, location: Location) -> None:
        """Emit what stands between the instruction above and where jumps to *index* arrive."""
        instructions = self.instructions
        above = instructions.ops[index - 1]
        recorded = self._recorded(instructions.handlers[index - 1])
        # Up to 3.12 an interrupt at a jump back looks for its handler at the instruction above the jump's target:
        # give it one that records, where the instruction above is led straight to its handler.
        if (above in RAISES or above in MAY_RERAISE) and is_loop_head:
            self._cover(recorded)
            self._emit(probes.nop(), location)
        self.entrance[index] = len(self.out)
        if index in self.falling:
            self._cover(self._handler_at_for_tracer(index))
            self._emit_probes(self.falling[index], location)
        if index in self.landing:
            self._cover(self._handler_at_for_tracer(index))
            self._set(self._landing_at(index))
            self._emit_probes(self.taken[self.landing[index]], location)
        if index in self.above:
            self._emit_second_jumps_above(index, location)
        # So does 3.12 for interrupts at jumps back.
        is_left = is_left_above(instructions.ops[index]) or (INLINED_CALL_LOSES_LINE and is_loop_head)
        has_probes = index in self.falling or index in self.landing
        is_left = is_left or (has_probes and _INTERRUPTED_ABOVE and is_loop_head)
        if is_left and (has_probes or instructions.above(index) != index - 1):
            self._lead_as_above(index, location)

    def _lead_as_above(self, index: int, location: Location) -> None:
        """Let the code unit above the instruction at *index* be led where the instruction above is."""
        handler = self.instructions.handlers[self.instructions.above(index)]
        recorded = self._recorded(handler)
        if self._cover_above() != recorded:
            self._cover(recorded)
            self._emit(probes.nop(), location)

    def _copy_jump(self, index: int, location: Location) -> None:
        instructions = self.instructions
        op = instructions.ops[index]
        target = instructions.targets[index]
        self.place[index] = len(self.out)
        if takes_no_space(instructions, index):
            self._go_on(index, location)
            return
        backward = target <= index
        key = target
        if not backward and op in BACKWARD and self._turns_on_line(index, target):
            if target not in self.pads:
                self.pads[target] = self._label()
            key = self.pads[target]
        elif index in instructions.turns:
            self.turns.append((key := self._label(), index))
        if index in self.taken:
            if self.landing.get(target) == index:
                key = self._landing_at(target)
            elif index in self.above.get(target, ()):
                key = self.above_label[index] = self._label()
            elif SEND_IS_SHORT and op == SEND:
                raise RewriteError("an await loop ends where others arrive")
            else:
                key = self._label()
                self.second_jumps.extend((key, number) for number in self.taken[index])
                backward = False
        self._jump(op if backward else _straight(op), key, backward, location)
        if op != instructions.source.ops[instructions.origins[index]]:  # it goes on to the next copy if it is not taken
            self._pad(index, location)

    def _go_on(self, index: int, location: Location) -> None:
        """Emit what other tools see of the jump back at *index*, which has become a step to the next instruction: its
        line, where control may arrive there with a line event, or by a branch.
        """
        # Otherwise the instruction above is on the same line, and its step to the next line is the same line event.
        if self._arrives_with_event(index) or self._is_branched_to(index):
            self._emit(probes.nop(), location)
        self._pad(index, location)

    def _pad(self, index: int, location: Location) -> None:
        """Emit what stands between the end of one copy of a loop, at *index*, and the next copy.

        A jump back to the line that it stands on is a line event. Between copies of the loop a step takes its place,
        from an instruction without a line to one that has one.
        """
        head = index + 1
        label = self.pads.get(head)
        is_event = self._turns_on_line(index, head)
        if label is not None and head in self.falling:  # probes of the step, which other jumps must not pass
            after = self._label()
            self._jump(_JUMP_FORWARD, after, False, location)
            self._set(label)
            self._jump(_JUMP_FORWARD, head, False, _NOWHERE)
            self._set(after)
            label = None
        if label is not None and not is_event:
            self._emit(probes.go_on(len(probes.nop()) // 2), location)
        if label is not None:
            self._set(label)
        if label is not None or is_event:
            self._emit(probes.nop(), _NOWHERE)

    def _turns_on_line(self, index: int, head: int) -> bool:
        """Return whether the jump at *index* back to the *head* of a loop is a line event although it stays on one
        line, and needs a step in its place. Later than 3.11 it remains a jump back (flow.unrolling).
        """
        lines = self.graph.line_events.lines
        return PY311 and lines[index] is not None and lines[index] == lines[head]

    def _arrives_with_event(self, index: int) -> bool:
        """Return whether a step to the instruction at *index* may be a line event."""
        instructions = self.instructions
        before = [other for other, target in enumerate(instructions.targets) if target == index]
        if instructions.falls_into(index):
            before.append(index - 1)
        return any(self.graph.line_events.fires(other, index) for other in before)

    def _is_branched_to(self, index: int) -> bool:
        """Return whether `sys.monitoring` reports a branch to the instruction at *index*."""
        instructions = self.instructions
        above = index - 1
        while instructions.ops[above] in ENDS_LOOP:
            above -= 1
        op = instructions.ops[above]
        is_branch = op == NOT_TAKEN or (op in JUMPS and op not in PLAIN_JUMPS)
        return not PY311 and (is_branch or not instructions.joins.isdisjoint(range(above + 1, index + 1)))

    def _jump(self, op: int, key: int, backward: bool, location: Location) -> None:
        """Emit a jump to the instruction or label with *key*, which is resolved later."""
        self.jumps.append((len(self.out), op, key, backward))
        self._emit(probes.encode(op), location)

    def _probe(self, number: int) -> bytes:
        constant = self.layout.first_counter + number
        return probes.call(constant) if self.plan.placement in CALLING else probes.probe(constant)

    def _emit_probes(self, numbers: Sequence[int], location: Location) -> None:
        """Emit the probes *numbers*. A trace function that is called for their line may raise an exception there."""
        self.unfired.update((number, len(self.out)) for number in numbers)
        for number in numbers:
            self._emit(self._probe(number), location)

    def _label(self) -> int:
        """Return the key of a new label; keys below the number of instructions are those of instructions."""
        self.labels.append(-1)
        return len(self.arrival) + len(self.labels) - 1

    def _landing_at(self, target: int) -> int:
        if target not in self.landing_label:
            self.landing_label[target] = self._label()
        return self.landing_label[target]

    def _set(self, label: int) -> None:
        self.labels[label - len(self.arrival)] = len(self.out)

    def _place_of(self, key: int) -> int:
        n = len(self.arrival)
        return self.arrival[key] if key < n else self.labels[key - n]

    def _cover(self, cover: Cover) -> None:
        if not self.handler_ranges or self.handler_ranges[-1][1] != cover:
            self.handler_ranges.append((len(self.out), cover))

    def _cover_above(self) -> Cover:
        """Return where an exception of what was emitted last is led to."""
        return next((cover for place, cover in reversed(self.handler_ranges) if place < len(self.out)), None)

    def _handler_at(self, index: int) -> Cover:
        """Return where an exception raised at *index* goes."""
        instructions = self.instructions
        op = instructions.ops[index]
        handler = instructions.handlers[index]
        if index < instructions.made_by:  # nothing is measured yet
            return (_DIRECT, handler) if handler >= 0 else None
        if op in RAISES or op in MAY_RERAISE:
            if index in self.raising:
                return RAISING, index
            restores = op == OPCODES["RERAISE"] and instructions.args[index] and (handler, RESTORED) in self.exits
            if restores:
                return RESTORED, handler
            return (_DIRECT, handler) if handler >= 0 else None
        if index in self.plan.stubs:
            return EXITING, self.plan.stubs[index]
        return self._recorded(handler)

    def _handler_at_for_tracer(self, index: int) -> Cover:
        """Return where an exception goes that a trace function raises at the line event of *index*."""
        if index < self.instructions.made_by:
            return self._handler_at(index)
        return self._recorded(self.instructions.handlers[index])

    def _recorded(self, handler: int) -> Cover:
        """Return how exceptions go to *handler* by way of a record, if there is one."""
        if (handler, RAISED) in self.exits:
            return RAISED, handler
        return (_DIRECT, handler) if handler >= 0 else None

    def _jump_back(self, key: int, location: Location, op: int = _JUMP_BACKWARD_NO_INTERRUPT) -> None:
        self._jump(op, key, True, location)

    def _emit_second_jumps_above(self, target: int, location: Location) -> None:
        """Emit the probes of jumps to *target* right above it, and a jump over them for what falls into it."""
        if self.instructions.falls_into(target) or target in self.landing:
            at = location
            if target not in self.falling and target not in self.landing:
                at = self._location_at(self.instructions.units[target - 1])
            self._jump(_JUMP_FORWARD, target, False, at)
        first, *others = self.above[target]
        for index in (*others, first):
            self._set(self.above_label[index])
            self._emit_probes(self.taken[index], location)
            if index != first:
                self._jump(_JUMP_FORWARD, target, False, location)

    def _emit_second_jumps(self) -> None:
        instructions = self.instructions
        waiting, self.second_jumps = self.second_jumps, []
        for label, number in waiting:
            index = self.plan.probes[number].index
            location = self._location_at(instructions.units[index])
            target = instructions.targets[index]
            if INLINED_CALL_LOSES_LINE and instructions.ops[index] in (FOR_ITER, SEND):
                # When a generator ends, its caller is said to be at the code unit above the target.
                self._emit(probes.nop(), self._location_at(instructions.starts[target] - 1))
            self._set(label)
            head = target + (instructions.n_skipped_at(target) if instructions.ops[index] == FOR_ITER else 0)
            if not PY311:
                # What `sys.monitoring` reports as the end of the branch has the line of the target. A line event may be
                # raised here, and a trace function may raise an exception there: it goes where one of the target goes.
                location = self._location_at(instructions.units[head])
                self._cover(self._recorded(instructions.handlers[head]))
                self.second_jumps.append((len(self.out), index))
            if instructions.ops[index] == FOR_ITER:
                skipped = head - target
                for unit in range(instructions.units[target], instructions.units[target] + skipped):
                    self._copy_units(unit, unit + 1, self._location_at(unit))
                self._emit_probes((number,), location)
                key = self._label()
                self.labels[-1] = self.entrance[target + skipped] if skipped else self.arrival[target]
                self._jump_back(key, location)
                continue
            self._emit_probes((number,), location)
            if target <= index:  # a loop of 3.11: it must stay interruptible
                self.second_jumps.append((len(self.out), len(instructions) + number))
                self._jump_back(target, location, _JUMP_BACKWARD)
            else:
                self._jump_back(target, location)
        self._cover(None)

    def _emit_turns(self) -> None:
        """Emit the jumps back that copies of loops need which go upwards: from the first to the last of them."""
        for label, index in self.turns:
            self._cover(self._handler_at(index))
            self._set(label)
            self.second_jumps.append((len(self.out), index))
            location = self._location_at(self.instructions.units[index])
            self._jump(_JUMP_BACKWARD, self.instructions.targets[index], True, location)
        self._cover(None)

    def _handler_of(self, kind: str, number: int) -> int:
        """Return the handler that the stub for *kind*, *number* goes on to, -1 if the exception leaves."""
        if kind == EXITING:
            number = self.plan.probes[number].index
        return self.instructions.handlers[number] if kind in (EXITING, RAISING) else number

    def _emit_stubs(self) -> None:
        for _, cover in list(self.handler_ranges):
            if cover is None or cover in self.stub_of or cover[0] == _DIRECT:
                continue
            self.stub_of[cover] = label = self._label()
            self._set(label)
            self._stub(*cover)

    def _stub(self, kind: str, number: int) -> None:
        """Emit the stub for *kind*, *number*: record, then go on to the handler or let the exception leave.

        A stub has no line, so it raises no line event, and the handler raises one however the stub is left by a jump.
        """
        instructions = self.instructions
        handler = self._handler_of(kind, number)
        start = len(self.out)
        if kind == RAISING:
            for probe in self.raising[number]:
                self._emit(self._probe(probe), _NOWHERE)
        elif kind == EXITING:
            self._emit(self._probe(number), _NOWHERE)
        elif self.plan.placement in CALLING:
            self._emit(probes.call(self.layout.first_exit + self.exits[number, kind], exception=True), _NOWHERE)
        else:
            layout = self.layout
            base = layout.first_exit + self.exits[number, kind]
            record = probes.record_exit(
                layout.exit_records, base, layout.traceback_of, self.tb_lasti, layout.range_of_counts
            )
            self._emit(record, _NOWHERE)
        stop = len(self.out)
        done = self._label()
        self._set(done)
        if handler < 0:
            self._emit(probes.raise_on(), _NOWHERE)
        elif self._is_rethrown(kind, number):
            self.rethrown.append((len(self.out), handler))
            self._emit(probes.raise_on(), _NOWHERE)
        else:
            if not instructions.table[handler].push_lasti and kind != EXITING:
                self._emit(probes.drop_lasti(), _NOWHERE)
            self._jump_back(instructions.table[handler].target, _NOWHERE)
        if kind not in (RAISING, EXITING) and self.plan.placement not in CALLING:
            # Recording failed, at the recursion limit or out of memory: the exception goes its way all the same.
            depth = instructions.table[handler].depth + 2 if handler >= 0 else 2
            late, dropped = self._label(), self._label()
            self._set(late)
            self.fallbacks.append((start, stop, late, depth))
            start = len(self.out)
            self._emit(probes.record_exit_late(self.layout.late_exits, base, self.traceback, self.tb_lasti), _NOWHERE)
            self._set(dropped)
            self.fallbacks.append((start, len(self.out), dropped, depth))
            self._emit(probes.pop(), _NOWHERE)
            self._jump_back(done, _NOWHERE)

    def _is_rethrown(self, kind: str, number: int) -> bool:
        """Return whether the stub for *kind*, *number* raises again, with the place of what raised, so that the handler
        raises no line event where it would raise none without the stub.
        """
        handler = self._handler_of(kind, number)
        if handler < 0:
            return False
        instructions, entry = self.instructions, self.graph.entries[handler]
        if instructions.ops[instructions.table[handler].target] == END_ASYNC_FOR:
            return True
        if kind == EXITING:
            return self.plan.probes[number].index in entry.eventless_sources
        if kind == RESTORED or (kind == RAISING and self.graph.restores_place(number)):
            return bool(entry.eventless_sources)
        if kind == RAISING:
            return number in entry.eventless_sources
        return any(instructions.handlers[index] == handler for index in entry.eventless_sources)

    # Resolving
    # #########################################################################################################

    def _resolve_jumps(self) -> list[int]:
        """Give every jump its distance; return the offset of each piece in code units."""
        out = self.out
        widths = [len(piece) >> 1 for piece in out]
        jumps = [(place, op, self._place_of(key), backward) for place, op, key, backward in self.jumps]
        while True:
            offsets = [0, *accumulate(widths)]
            stable = True
            distances = []
            for place, op, target, backward in jumps:
                after = offsets[place + 1]
                distance = after - offsets[target] if backward else offsets[target] - after
                if distance < 0:
                    raise RewriteError(f"a jump would go {distance} units")
                distances.append(distance)
                width = 1 if distance < 1 << 8 else 2 if distance < 1 << 16 else 3 if distance < 1 << 24 else 4
                width += CACHES[op]
                if width > widths[place]:  # never narrower again, so this ends
                    widths[place] = width
                    stable = False
            if stable:
                break
        for (place, op, _, _), distance in zip(jumps, distances):
            out[place] = probes.encode(op, distance, widths[place] - 1 - CACHES[op])
        return offsets

    def _finish(self, offsets: list[int]) -> CodeType:
        instructions, code = self.instructions, self.instructions.code
        entries: list[ExceptionTableEntry] = []
        deepest = 0
        ends = [place for place, _ in self.handler_ranges[1:]]
        for (place, cover), end in zip(self.handler_ranges, ends):
            if cover is None or place == end:
                continue
            kind, number = cover
            handler = self._handler_of(kind, number)
            depth = instructions.table[handler].depth if handler >= 0 else 0
            deepest = max(deepest, depth)
            if kind == _DIRECT:
                target = offsets[self.arrival[instructions.table[handler].target]]
                push_lasti = instructions.table[handler].push_lasti
            else:
                target = offsets[self._place_of(self.stub_of[cover])]
                push_lasti = kind != EXITING or handler < 0 or instructions.table[handler].push_lasti
                push_lasti = push_lasti or self._is_rethrown(kind, number)
            entry = bytecode.concrete.ExceptionTableEntry(offsets[place], offsets[end] - 1, target, depth, push_lasti)
            last = entries[-1] if entries else None
            if (
                last is not None
                and last.stop_offset + 1 == entry.start_offset
                and (last.target, last.stack_depth, last.push_lasti) == (target, depth, push_lasti)
            ):
                last.stop_offset = entry.stop_offset
            else:
                entries.append(entry)
        for start, stop, label, depth in self.fallbacks:
            entry = bytecode.concrete.ExceptionTableEntry(
                offsets[start], offsets[stop] - 1, offsets[self._place_of(label)], depth, False
            )
            entries.append(entry)
        for place, number in self.rethrown:
            handler_ = instructions.table[number]
            entry = bytecode.concrete.ExceptionTableEntry(
                *(offsets[place], offsets[place + 1] - 1, offsets[self.arrival[handler_.target]]),
                *(handler_.depth, handler_.push_lasti),
            )
            entries.append(entry)
        entries.sort(key=attrgetter("start_offset"))
        tables = bytecode.ConcreteBytecode(exception_table=entries)
        tables._pack_location = partial(_pack_location, tables)  # type: ignore[method-assign]
        pieces: list[tuple[int, int, int, Any]]
        pieces = [(0, 2 * (end - start), 0, at) for start, end, at in zip(offsets, offsets[1:], self.locations)]
        # A stub finds lasti and the exception on the stack above its handler's depth.
        stacksize = max(code.co_stacksize, deepest + 2) + probes.STACK_OF_PROBE
        return code.replace(
            co_code=b"".join(self.out),
            co_consts=(*code.co_consts, *[None] * (self.layout.n_constants - len(code.co_consts))),
            co_names=tuple(self.names),
            co_stacksize=stacksize,
            co_linetable=tables._assemble_locations(code.co_firstlineno, pieces),
            co_exceptiontable=tables._assemble_exception_table(),
        )


def _pack_location(concrete: ConcreteBytecode, entries: bytearray, size: int, line: int, location: Any) -> None:
    """Append to *entries* the *location* of *size* code units behind *line*.

    `bytecode` 0.19 writes columns from 128 on into an entry for one line, where only 7 bits of each are left: the entry
    then reads as two, and lines behind it are wrong (CPython: Objects/locations.md). Such entries take the long form.
    """
    if (
        location is None
        or location.lineno is None
        or location.col_offset is None
        or location.end_col_offset is None
        or location.end_lineno != location.lineno
        or location.lineno - line not in (1, 2)
        or max(location.col_offset, location.end_col_offset) < 128
    ):
        type(concrete)._pack_location(concrete, entries, size, line, location)
        return
    entries.append(concrete._pack_location_header(14, size))
    entries += concrete._encode_location_svarint(location.lineno - line)
    for number in (0, location.col_offset + 1, location.end_col_offset + 1):
        entries += concrete._encode_location_varint(number)


_KEPT = (
    *("co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags", "co_varnames", "co_cellvars"),
    *("co_freevars", "co_filename", "co_name", "co_qualname", "co_firstlineno"),
)


def verify(code: CodeType, before: Instructions, unlinked: Unlinked) -> str:
    """Return what is wrong with *unlinked* as a rewriting of *code*, or an empty string.

    Instructions, arguments, positions, jump targets and handlers must be those of the original, at their new places.
    """
    made = unlinked.code
    places = list(unlinked.units[: len(before)])
    raw = made.co_code
    arguments = _arguments(raw)
    return (
        _wrong_instruction(raw, before, places)
        or _wrong_surroundings(code, made)
        or _wrong_position(code, made, before, places)
        or _wrong_argument(raw, before, places, arguments)
        or _wrong_handler(made, before, places, arguments)
    )


def _wrong_instruction(raw: bytes, before: Instructions, places: list[int]) -> str:
    if places[-1] >= len(raw) // 2 or not is_faithful(before):
        return "instructions differ"
    for index, (op, place) in enumerate(zip(before.ops, places)):
        found = raw[2 * place]
        if found != op and not takes_no_space(before, index) and (op not in BACKWARD or found != _straight(op)):
            return "instructions differ"
    return ""


def _wrong_surroundings(code: CodeType, made: CodeType) -> str:
    if not all(map(_is_same_constant, made.co_consts, code.co_consts)) or made.co_names[: len(code.co_names)] != (
        code.co_names
    ):
        return "constants or names differ"
    for name in _KEPT:
        if getattr(made, name) != getattr(code, name):
            return f"{name} differs"
    if made.co_stacksize < code.co_stacksize + probes.STACK_OF_PROBE:
        return "the stack is too small"
    return ""


def _wrong_position(code: CodeType, made: CodeType, before: Instructions, places: list[int]) -> str:
    positions = list(made.co_positions())
    expected = list(code.co_positions())
    for index, (place, unit) in enumerate(zip(places, before.units)):
        if positions[place : place + 1] != expected[unit : unit + 1] and not takes_no_space(before, index):
            return "positions differ"
    for index, (line, found) in enumerate(zip(before.lines, before.lines_of(made, places))):
        if line != found and not takes_no_space(before, index):
            return "lines differ"
    return ""


def _wrong_argument(raw: bytes, before: Instructions, places: list[int], arguments: dict[int, int]) -> str:
    """Return which instruction of *raw* has another argument or goes elsewhere, or an empty string."""
    for index, (op, place) in enumerate(zip(before.ops, places)):
        if takes_no_space(before, index):
            if place > places[index + 1]:
                return f"instruction {index} does not go on"
            continue
        argument = arguments.get(place)
        wanted = before.args[index]
        if op == RESUME and argument != wanted:
            wanted = probes.argument_of_resume(wanted)
        if argument is None or (before.targets[index] < 0 and argument != wanted):
            return f"the argument of instruction {index} differs"
        if op in JUMPS:
            after = place + 1 + CACHES[raw[2 * place]]
            lands = after - argument if raw[2 * place] in BACKWARD else after + argument
            if not _is_at(lands, before.targets[index], places, before, raw) and lands <= places[-1]:
                return f"the jump at instruction {index} goes elsewhere"
    return ""


def _wrong_handler(made: CodeType, before: Instructions, places: list[int], arguments: dict[int, int]) -> str:
    """Return where exceptions of *made* do not come to their original handlers, or an empty string."""
    raw = made.co_code
    end = 0
    led_to: list[tuple[int, int]] = [(-1, 0)] * (len(raw) // 2)
    for start, stop, target, depth_and_lasti in exception_table(made.co_exceptiontable):
        if not end <= start < stop <= len(raw) // 2 or target >= len(raw) // 2:
            return "the exception table is out of order"
        led_to[start:stop] = [(target, depth_and_lasti)] * (stop - start)
        end = stop
    ways: dict[tuple[int, int, int], int] = {}
    for index, place in enumerate(places):
        if takes_no_space(before, index):
            continue
        ways.setdefault((before.handlers[index], *led_to[place]), index)
        if index and is_left_above(before.ops[index]) and raw[2 * place - 2] != EXTENDED_ARG:
            ways.setdefault((before.handlers[before.above(index)], *led_to[place - 1]), index)
    for (number, target, depth_and_lasti), index in ways.items():
        handler = before.table[number] if number >= 0 else None
        wanted = handler.depth << 1 | handler.push_lasti if handler is not None else 1
        if target < 0:
            arrives = handler is None
        elif handler is not None and _is_at(target, handler.target, places, before, raw):
            arrives = depth_and_lasti == wanted
        else:  # by way of a stub, which stands behind everything else, and wants lasti to record it
            arrives = target > places[-1] and depth_and_lasti in (wanted, wanted | 1)
            drops = False
            while arrives and raw[2 * target] != RERAISE and raw[2 * target] not in BACKWARD:
                drops |= raw[2 * target] == _SWAP
                target += 1 + (CACHES[raw[2 * target]] if target in arguments else 0)
                arrives = target < len(raw) // 2
            if arrives and raw[2 * target] == RERAISE:
                arrives = arguments.get(target) == 1 and depth_and_lasti & 1 == 1
                again, depth_and_lasti = led_to[target]
                if handler is None:
                    arrives = arrives and again < 0
                else:
                    arrives = arrives and _is_at(again, handler.target, places, before, raw)
                    arrives = arrives and depth_and_lasti == wanted
            elif arrives:
                lands = target + 1 + CACHES[raw[2 * target]] - arguments[target]
                arrives = handler is not None and _is_at(lands, handler.target, places, before, raw)
                arrives = arrives and drops == (depth_and_lasti != wanted)
        if not arrives:
            return f"the handler of instruction {index} is another"
    return ""


def _is_at(lands: int, target: int, places: list[int], before: Instructions, raw: bytes) -> bool:
    """Return whether *lands* is at instruction *target* or at what was put right before it."""
    above = target - 1
    while above >= 0 and takes_no_space(before, above):
        above -= 1
    end = places[above] + 1 + CACHES[raw[2 * places[above]]] if above >= 0 else 0
    return end <= lands <= places[target]


def _is_same_constant(one: object, other: object) -> bool:
    """Return whether *one* is *other*; what the interpreter interns may be another object that is equal."""
    return one is other or (type(one) is type(other) and type(one) in (str, tuple, frozenset) and one == other)


def _straight(op: int) -> int:
    return OPCODES.get(OPNAMES[op].replace("BACKWARD", "FORWARD"), -1)


def _arguments(raw: bytes) -> dict[int, int]:
    """Return the full argument of each instruction of *raw*, by its place in code units."""
    arguments = {}
    unit = prefix = 0
    while unit < len(raw) // 2:
        op, arg = raw[2 * unit], raw[2 * unit + 1] | prefix
        if op == EXTENDED_ARG:
            prefix = arg << 8
            unit += 1
            continue
        arguments[unit] = arg
        prefix = 0
        unit += 1 + CACHES[op]
    return arguments
