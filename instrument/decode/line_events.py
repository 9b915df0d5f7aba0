"""Tells which steps from one instruction to another raise a line event.

`Instructions` come in; `LineEvents` goes out. A trace function is called at each line event, and `trace` counts these
calls. The event depends on the step, not only on the instruction. Two rules exist:

3.11 considers every instruction (ceval.c: maybe_call_line_trace):

    fires  <=>  line(here) is not None
           and ( prev <= first  or  line(here) != line(prev)  or  (here < prev and op(here) is not SEND) )

3.12 and later consider a fixed set of instructions, the line starts (instrumentation.c: initialize_lines):

    fires  <=>  here starts a line  and  ( line(prev) != line(here)  or  op(prev) is RESUME )

In addition, a JUMP_BACKWARD within one line raises one event for that line (versions.JUMP_BACK_RAISES_LINE_EVENT), and
3.13.0 ignores `prev` at some instructions (versions.FAR_LINES_ALWAYS_FIRE).
"""

from __future__ import annotations

from _operator import eq, ne
from itertools import compress, repeat

from instrument.decode.opcodes import (
    END_ASYNC_FOR,
    FOR_ITER,
    JUMP_BACKWARD,
    NEVER_START_A_LINE,
    REFERENCES,
    RESUME,
    SEND,
    flags_of,
)
from instrument.decode.versions import (
    ANY_INSTRUCTION_STARTS_A_LINE,
    FAR_LINES_ALWAYS_FIRE,
    JUMP_BACK_RAISES_LINE_EVENT,
    LINES_WRAP,
    POP_ITER_STARTS_NO_LINE,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.decode.instructions import Instructions

    #: For each instruction its line, or None.
    Lines = list[int | None]

_NEVER_STARTS_A_LINE = flags_of(NEVER_START_A_LINE)
_IS_NO_RESUME = flags_of(set(range(256)) - {RESUME})


class LineEvents:
    """The line events of *instructions*.

        lines           for each instruction the line that its event reports, or None
        starts          for each instruction whether a step to it can raise an event: 1 or 0
        always_fires    the instructions to which every step raises an event (versions.FAR_LINES_ALWAYS_FIRE)
        fired           in order, the instructions to which a step from the instruction above raises an event. Right for
                        straight-line code: the step is no jump, and does not come from a RESUME

    `lines` and `starts` have an entry for each instruction.
    """

    __slots__ = ("always_fires", "fired", "instructions", "lines", "starts")

    def __init__(self, instructions: Instructions) -> None:
        self.instructions = instructions
        source = instructions.source
        lines = _reported_lines(source)
        changes = _changes(lines)
        if ANY_INSTRUCTION_STARTS_A_LINE:
            starts = _any_instructions(source, lines)
        else:
            starts = _line_starts(source, lines, changes)
        far = _far_line_starts(source, lines, changes) if FAR_LINES_ALWAYS_FIRE else frozenset()
        if source is not instructions:
            origins = instructions.origins
            lines = list(map(lines.__getitem__, origins))
            changes = _changes(lines)
            starts = bytearray(map(starts.__getitem__, origins))
            far = frozenset([index for index, origin in enumerate(origins) if origin in far]) if far else far
        self.lines = lines
        self.starts = starts
        self.always_fires = far
        fired = filter(starts.__getitem__, changes)
        self.fired = sorted(far.union(fired)) if far else list(fired)

    def fires(self, prev: int, here: int) -> bool:
        """Return whether the step from instruction *prev* to *here* raises a line event, by the rules above."""
        if not self.starts[here]:
            return False
        instructions = self.instructions
        if self.lines[prev] != self.lines[here] or here in self.always_fires:
            return True
        # Both are on the same line.
        if ANY_INSTRUCTION_STARTS_A_LINE:  # 3.11
            # The direction is that in the program's own code: a copy of a loop stands for its original.
            is_back = instructions.origins[here] < instructions.origins[prev]
            return prev <= instructions.first or (is_back and instructions.ops[here] != SEND)
        return instructions.ops[prev] == RESUME

    def eventless_sources(self, handler: int) -> frozenset[int]:
        """Return the instructions from which an exception may enter *handler* without a line event.

        *handler* is the first instruction of a handler, and starts a line.
        """
        lines = self.lines
        on_line = compress(range(len(lines)), map(eq, lines, repeat(lines[handler])))
        return frozenset([index for index in on_line if not self.fires(index, handler)])

    def loops_on_one_line(self, jump: int, target: int) -> bool:
        """Return whether the jump from *jump* to *target* raises an event of its own, beside the event of *target*."""
        return (
            JUMP_BACK_RAISES_LINE_EVENT
            and self.instructions.ops[jump] == JUMP_BACKWARD
            and self.lines[jump] is not None
            and self.lines[jump] == self.lines[target]
        )


def _reported_lines(instructions: Instructions) -> Lines:
    """Return the lines that events report: those of the line table, wrapped around if versions.LINES_WRAP."""
    lines = instructions.lines
    if not LINES_WRAP:
        return lines
    first = instructions.code.co_firstlineno
    numbers = [line for line in set(lines) if line is not None]
    if not numbers or min(numbers) >= first - 1:
        return lines
    size = 256
    while max(numbers) - first + 2 >= size - 2:
        size *= 256
    return [None if line is None else first + (line - first + 2) % size - 2 for line in lines]


def _changes(lines: Lines) -> list[int]:
    """Return the instructions that are on another line than the instruction above them."""
    return list(compress(range(1, len(lines)), map(ne, lines[1:], lines)))


def _any_instructions(instructions: Instructions, lines: Lines) -> bytearray:
    """Return the `starts` of 3.11: every instruction of the body that has a line, except RESUME."""
    starts = bytearray(instructions.ops.translate(_IS_NO_RESUME))
    n_above = instructions.first + 1
    starts[:n_above] = bytes(n_above)
    if None in lines:
        for index, line in enumerate(lines):
            if line is None:
                starts[index] = 0
    return starts


def _line_starts(instructions: Instructions, lines: Lines, changes: list[int]) -> bytearray:
    """Return the `starts` of 3.12 and later, as initialize_lines computes them."""
    ops = instructions.ops
    starts = _starts_in_order(instructions, lines, changes)
    for target in _targets_of_jumps(instructions):
        starts[target] = lines[target] is not None
    for handler in instructions.table:
        if ops[handler.target] != END_ASYNC_FOR:
            starts[handler.target] = lines[handler.target] is not None
    return starts


def _starts_in_order(instructions: Instructions, lines: Lines, changes: list[int]) -> bytearray:
    """Return 1 for each instruction that has a line, and another line than the instruction above it; 0 for others.

    Instructions that never start a line are skipped. *changes* is the result of `_changes`.
    """
    first, n = instructions.first, len(lines)
    starts = bytearray(n)
    for index in changes:
        starts[index] = lines[index] is not None
    starts[:first] = bytes(first)
    never_starts = instructions.ops.translate(_NEVER_STARTS_A_LINE)
    above: int | None = None  # the line of the last instruction that was not skipped
    skipped = never_starts.find(1, first)
    while skipped >= 0:
        if skipped > first and not never_starts[skipped - 1]:
            above = lines[skipped - 1]
        starts[skipped] = 0
        below = skipped + 1
        if below < n:
            starts[below] = lines[below] is not None and lines[below] != above
        skipped = never_starts.find(1, below)
    return starts


def _far_line_starts(instructions: Instructions, lines: Lines, changes: list[int]) -> frozenset[int]:
    """Return the instructions to which every step raises an event (versions.FAR_LINES_ALWAYS_FIRE)."""
    first = instructions.code.co_firstlineno
    far = set()
    for index in compress(range(len(lines)), _starts_in_order(instructions, lines, changes)):
        distance = (lines[index] or 0) - first
        if not -126 < distance - (instructions.starts[index] >> 4) <= 127:
            far.add(index)
    return frozenset(far.difference(_targets_of_jumps(instructions)) if far else far)


def _targets_of_jumps(instructions: Instructions) -> set[int]:
    """Return the instructions that initialize_lines takes for targets of jumps."""
    ops, targets = instructions.ops, instructions.targets
    starts = set()
    for jump in instructions.jumps:
        if jump < instructions.first or ops[jump] in REFERENCES:
            continue
        target = targets[jump]
        if ops[jump] in (FOR_ITER, SEND):
            target += 1  # past END_FOR or END_SEND
            if target >= len(ops) or (POP_ITER_STARTS_NO_LINE and ops[target] in NEVER_START_A_LINE):
                continue
        starts.add(target)
    return starts
