"""Unrolls small innermost loops, so that fewer of their turns pass a probe.

`Instructions` come in; `Unrolled` instructions go out, in which the body of each small innermost loop stands several
times in a row. If there is no such loop, the same `Instructions` go out.

A loop needs one probe on its way round. If its body stands four times, only one of four turns passes that probe. The
number of remaining turns follows from the copy at which the loop was left. Each copy except the last goes on to the
next without its jump back, which saves most of the cost of the probe.

Only the layout changes: every step of the unrolled code is a step of the original (`is_faithful` checks that). So line
events, exits and handlers are those of the original instructions. Interrupts are handled at the jumps back that remain.
If a removed jump back has a line of its own, or a branch leads to it, an instruction with this line takes its place. So
trace functions and `sys.monitoring` observe the lines and branches of the original.

Problem: two paths that join need a probe on one of them, and a jump.
Solution: none; calls, and turns of loops that are not unrolled, pass nine tenths of all probes.
Alternatives: code behind a join could be copied to the end of the function or of the turn, so that paths never join
    (Mueller & Whalley, PLDI 1992). [16 programs, probes passed: copies of up to 30 code units save 0.7 % for 1.4 % more
    code, unlimited copies save 2.0 %; 5.8 % would be saved if paths never joined.]
"""

from __future__ import annotations

from _bisect import bisect_left, bisect_right
from _operator import ne, sub
from itertools import compress

from instrument.decode.instructions import HAS_TARGET, Handler, Instructions
from instrument.decode.opcodes import (
    BACKWARD,
    CACHES,
    FOR_ITER,
    JUMP_BACKWARD_NO_INTERRUPT,
    JUMPS,
    OPPOSITE_BRANCHES,
    REFERENCES,
    RESUME,
    SEND,
    UNCONDITIONAL_JUMPS,
    YIELD_VALUE,
    flags_of,
)
from instrument.decode.versions import JUMP_BACK_RAISES_LINE_EVENT

#: How many copies of a body stand in a row: (largest size in code units, copies), for bodies without a branch and with
#: branches. In a larger body the probe is a small part of the cost. Each copy needs probes for its branches.
_COPIES_WITHOUT_BRANCH = ((16, 4), (24, 3), (56, 2))
_COPIES_WITH_BRANCHES = ((40, 2),)
#: A loop that suspends its frame is not unrolled: it turns slowly, and passes a probe at each resumption in any case.
_PREVENTS_UNROLLING = flags_of((YIELD_VALUE, SEND, RESUME, *REFERENCES))
_LARGEST = max(size for size, _ in _COPIES_WITHOUT_BRANCH + _COPIES_WITH_BRANCHES)
_IS_BRANCH = flags_of(JUMPS - UNCONDITIONAL_JUMPS)
_JUMPS_BACK = (BACKWARD & JUMPS) - {JUMP_BACKWARD_NO_INTERRUPT}
_STEPS = BACKWARD & UNCONDITIONAL_JUMPS


class Loop:
    """A loop to unroll: the instructions *first* to *last*, which are to stand *n_copies* times.

    *goes_upwards* says in which order control passes the copies, see `Unrolled`.
    """

    __slots__ = ("first", "goes_upwards", "last", "n_copies")

    def __init__(self, first: int, last: int, n_copies: int, goes_upwards: bool) -> None:
        self.first = first
        self.last = last
        self.n_copies = n_copies
        self.goes_upwards = goes_upwards


class _Segment:
    """The instructions of the source from *start* to *stop*, which stand at *index* in the unrolled code.

    They are the *copy* number 0, 1, … of *loop*, or stand between loops, where *loop* is None.
    """

    __slots__ = ("copy", "index", "loop", "start", "stop")

    def __init__(self, start: int, stop: int, index: int, loop: Loop | None, copy: int) -> None:
        self.start = start
        self.stop = stop
        self.index = index
        self.loop = loop
        self.copy = copy


class _Layout:
    """The order of the instructions of a source with *n* instructions and copies of *loops*, as `segments`."""

    def __init__(self, n: int, loops: list[Loop]) -> None:
        self.segments: list[_Segment] = []
        self._ends: list[int] = []  # of the first copies
        self._shifts: list[int] = []  # of their instructions
        start = index = 0
        for loop in loops:
            self._append(start, loop.first, index, None, 0)
            index += loop.first - start
            start = loop.last + 1
            for copy in range(loop.n_copies):
                self._append(loop.first, start, index, loop, copy)
                index += start - loop.first
        self._append(start, n, index, None, 0)

    def _append(self, start: int, stop: int, index: int, loop: Loop | None, copy: int) -> None:
        self.segments.append(_Segment(start, stop, index, loop, copy))
        if copy == 0:
            self._ends.append(stop)
            self._shifts.append(index - start)

    def index_of(self, origin: int) -> int:
        """Return the index of the first copy of the instruction *origin* of the source."""
        return origin + self._shifts[bisect_right(self._ends, origin)]

    def index_from(self, origin: int, segment: _Segment) -> int:
        """Return the index of *origin* for a jump or an exception out of *segment*.

        Within the loop that is the same copy, elsewhere the only one or the first one.
        """
        if segment.start <= origin < segment.stop:
            return segment.index + origin - segment.start
        return self.index_of(origin)


class Unrolled(Instructions):
    """The instructions of *source* with copies of *loops*.

    A jump back to the first instruction of a loop leads from each copy to the next copy, and from the last to the
    first. If the next copy follows directly, an unconditional jump remains that takes no space (`steps`).
    A conditional jump becomes the opposite one, which leads out of the loop.

    If a loop turns within one line, control passes its copies upwards instead. It goes from the first copy to the last,
    and from each copy to the one above. So each turn remains a jump back, because no other instruction raises its line
    event. The jump from the first copy to the last leads downwards, to another jump that leads upwards
    (rewrite.jumps).
    """

    __slots__ = ()

    def __init__(self, source: Instructions, loops: list[Loop]) -> None:
        self.source = source
        self.code = source.code
        self.first = source.first
        self.throwable_from = source.throwable_from
        layout = _Layout(len(source), loops)
        slices = [slice(segment.start, segment.stop) for segment in layout.segments]
        self.origins = [origin for part in slices for origin in range(part.start, part.stop)]
        self.ops = b"".join([source.ops[part] for part in slices])
        self.args = [arg for part in slices for arg in source.args[part]]
        self.starts = [start for part in slices for start in source.starts[part]]
        self.units = [unit for part in slices for unit in source.units[part]]
        self.lines = [line for part in slices for line in source.lines[part]]
        self.jumps = []
        self.targets = [-1] * len(self.ops)
        self.turns, self.steps = self._redirect_jumps(layout)
        self.table, self.handlers = self._redirect_exceptions(layout)
        self._joins = None
        self.ranks = ranks = list(range(len(self.ops)))
        for segment in layout.segments:
            loop, start = segment.loop, segment.index
            if loop is not None and loop.goes_upwards and segment.copy:
                size = loop.last + 1 - loop.first
                rank = start + (loop.n_copies - 2 * segment.copy) * size
                ranks[start : start + size] = range(rank, rank + size)

    def _redirect_jumps(self, layout: _Layout) -> tuple[frozenset[int], frozenset[int]]:
        """Set `jumps` and `targets`, and replace conditional jumps in `ops` by their opposite.

        Return `turns` and `steps`.
        """
        source = self.source
        ops, targets = bytearray(self.ops), self.targets
        turns, steps = set(), set()
        for segment in layout.segments:
            loop = segment.loop
            first, stop = bisect_left(source.jumps, segment.start), bisect_left(source.jumps, segment.stop)
            for origin in source.jumps[first:stop]:
                index = segment.index + origin - segment.start
                op, target = ops[index], source.targets[origin]
                if loop is None or target != loop.first or op not in BACKWARD:
                    target = layout.index_from(target, segment)
                elif origin == loop.last and segment.copy + 1 < loop.n_copies and op in OPPOSITE_BRANCHES:
                    ops[index] = OPPOSITE_BRANCHES[op]
                    target = layout.index_of(loop.last + 1)
                else:
                    target = self._head_after(segment, loop)
                    if loop.goes_upwards and segment.copy == 0:
                        turns.add(index)
                    elif target == index + 1 and op in _STEPS:
                        steps.add(index)
                targets[index] = target
                self.jumps.append(index)
        self.ops = bytes(ops)
        return frozenset(turns), frozenset(steps)

    def _head_after(self, segment: _Segment, loop: Loop) -> int:
        """Return the first instruction of the copy that control passes after *segment*, which is a copy of *loop*."""
        copy = (segment.copy + (-1 if loop.goes_upwards else 1)) % loop.n_copies
        return segment.index + (copy - segment.copy) * (segment.stop - segment.start)

    def _redirect_exceptions(self, layout: _Layout) -> tuple[list[Handler], list[int]]:
        """Return the `table` and the `handlers` of the copies; a handler within a loop has a copy with each body."""
        source = self.source
        table = [
            Handler(layout.index_of(handler.target), handler.depth, handler.push_lasti) for handler in source.table
        ]
        handlers = []
        for segment in layout.segments:
            numbers = source.handlers[segment.start : segment.stop]
            if segment.copy:
                number_of_copy = {}
                for number in dict.fromkeys(numbers):
                    if number >= 0 and segment.start <= source.table[number].target < segment.stop:
                        handler = source.table[number]
                        number_of_copy[number] = len(table)
                        target = layout.index_from(handler.target, segment)
                        table.append(Handler(target, handler.depth, handler.push_lasti))
                numbers = [number_of_copy.get(number, number) for number in numbers]
            handlers += numbers
        return table, handlers


def unroll(instructions: Instructions) -> Instructions:
    """Return *instructions* with small innermost loops unrolled; *instructions* itself if it has none."""
    loops = _small_loops(instructions)
    return Unrolled(instructions, loops) if loops else instructions


def _small_loops(instructions: Instructions) -> list[Loop]:
    """Return the loops to unroll, in order."""
    ops, targets = instructions.ops, instructions.targets
    jumps_back: dict[int, list[int]] = {}  # to each target
    first_jump: dict[int, int] = {}  # to each target
    for index in instructions.jumps:
        first_jump.setdefault(targets[index], index)
        if ops[index] in _JUMPS_BACK:
            jumps_back.setdefault(targets[index], []).append(index)
    if not jumps_back:
        return []
    handlers = sorted(handler.target for handler in instructions.table)
    loops: list[Loop] = []
    for first in sorted(jumps_back):
        # Handlers stand behind the loop, and jump back into it.
        bound = next((target for target in handlers if target > first), len(ops))
        if ops[first] == FOR_ITER and (bound > targets[first] or bound - 1 not in jumps_back[first]):
            bound = targets[first]
        last = max((index for index in jumps_back[first] if index < bound), default=-1)
        if last < 0 or first <= instructions.first or (loops and first <= loops[-1].last):
            continue
        n_copies = _n_copies(instructions, first, last)
        # A loop is entered at its first instruction. Otherwise it is no loop: it ends in a handler that nothing leads
        # to. The compiler of 3.12 and later leaves such handlers in the code. Only innermost loops are unrolled.
        if n_copies > 1 and all(
            first_jump.get(index, first) >= first and all(end > last for end in jumps_back.get(index, ()))
            for index in range(first + 1, last + 1)
        ):
            loops.append(Loop(first, last, n_copies, _turns_on_one_line(instructions, first, last)))
    return loops


def _n_copies(instructions: Instructions, first: int, last: int) -> int:
    """Return how often the loop of the instructions *first* to *last* is to stand in a row; 1 if it is not unrolled."""
    ops = instructions.ops
    size = instructions.units[last] + 1 + CACHES[ops[last]] - instructions.starts[first]
    if size > _LARGEST or last + 1 == len(ops) or 1 in ops[first : last + 1].translate(_PREVENTS_UNROLLING):
        return 1
    # One branch ends the loop.
    n_branches = sum(ops[first : last + 1].translate(_IS_BRANCH)) - 1
    copies = _COPIES_WITH_BRANCHES if n_branches > 0 else _COPIES_WITHOUT_BRANCH
    return next((n for largest, n in copies if size <= largest), 1)


def _turns_on_one_line(instructions: Instructions, first: int, last: int) -> bool:
    """Return whether a jump back within one line leads to *first*, from an instruction up to *last*.

    From 3.12 on such a jump is an event that no other instruction raises, and only because it leads upwards.
    """
    lines, targets = instructions.lines, instructions.targets
    return JUMP_BACK_RAISES_LINE_EVENT and any(
        targets[index] == first and lines[index] == lines[first] and lines[first] is not None
        for index in instructions.jumps
        if first <= index <= last and instructions.ops[index] in BACKWARD
    )


def changes_in(numbers: list[int]) -> list[int]:
    """Return each index at which *numbers* has another number than at the index before."""
    n = len(numbers)
    if numbers != sorted(numbers):
        return list(compress(range(1, n), map(ne, numbers, numbers[1:])))
    # Mostly the numbers ascend. Then equal numbers stand together, and bisection skips them: 1.5 times as fast if there
    # are few changes.
    changes = []
    index = 0
    while (index := bisect_right(numbers, numbers[index], index)) < n:
        changes.append(index)
    return changes


def starts_of_copies(instructions: Instructions) -> list[int]:
    """Return the instructions whose original does not follow the original of the instruction above."""
    return changes_in(list(map(sub, range(len(instructions)), instructions.origins)))


def is_faithful(instructions: Instructions) -> bool:
    """Return whether each step of *instructions* is a step of the instructions that they are copies of."""
    source, origins, ops = instructions.source, instructions.origins, instructions.ops
    if source is instructions:
        return True
    n = len(origins)
    if instructions.jumps != list(compress(range(n), ops.translate(HAS_TARGET))):
        return False
    # All others have the opcode of the original, and go on to the copy of the instruction below.
    special = {n - 1, *instructions.jumps, *(start - 1 for start in starts_of_copies(instructions))}
    special.update(compress(range(n), map(ne, ops, map(source.ops.__getitem__, origins))))
    handlers = zip(instructions.handlers, map(source.handlers.__getitem__, origins))
    return all(_goes_as_original(instructions, index) for index in special) and all(
        _is_handler_of_original(instructions, number, original_number) for number, original_number in set(handlers)
    )


def _goes_as_original(instructions: Instructions, index: int) -> bool:
    """Return whether control goes from the copy at *index* to copies of the instructions that follow the original."""
    source, origins = instructions.source, instructions.origins
    origin = origins[index]
    op, original_op = instructions.ops[index], source.ops[origin]
    target = instructions.targets[index]
    next_origin = origins[index + 1] if index + 1 < len(origins) else -1
    target_origin = origins[target] if target >= 0 else -1
    if OPPOSITE_BRANCHES.get(original_op) == op:
        next_origin, target_origin = target_origin, next_origin
    elif op != original_op:
        return False
    if target_origin != source.targets[origin]:
        return False
    return next_origin == origin + 1 or origin + 1 >= len(source) or not source.falls_into(origin + 1)


def _is_handler_of_original(instructions: Instructions, number: int, original_number: int) -> bool:
    """Return whether the handler *number* is a copy of the original's handler, and entered in the same way."""
    if number < 0 or original_number < 0:
        return number == original_number
    handler, original = instructions.table[number], instructions.source.table[original_number]
    return (instructions.origins[handler.target], handler.depth, handler.push_lasti) == (
        *(original.target, original.depth),
        original.push_lasti,
    )
