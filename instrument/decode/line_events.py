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

from instrument.decode.opcodes import (
    END_ASYNC_FOR,
    FOR_ITER,
    JUMP_BACKWARD,
    JUMPS,
    NEVER_START_A_LINE,
    RESUME,
    SEND,
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


class LineEvents:
    """The line events of *instructions*.

        lines           for each instruction the line that its event reports, or None
        starts          for each instruction whether a step to it can raise an event
        always_fires    the instructions to which every step raises an event (versions.FAR_LINES_ALWAYS_FIRE)

    The lists have an entry for each instruction.
    """

    __slots__ = ("always_fires", "instructions", "lines", "starts")

    def __init__(self, instructions: Instructions) -> None:
        self.instructions = instructions
        source, origins = instructions.source, instructions.origins
        lines = _reported_lines(source)
        starts = _any_instructions(source, lines) if ANY_INSTRUCTION_STARTS_A_LINE else _line_starts(source, lines)
        self.lines = [lines[origin] for origin in origins]
        self.starts = [starts[origin] for origin in origins]
        far = _far_line_starts(source, lines) if FAR_LINES_ALWAYS_FIRE else frozenset()
        self.always_fires = frozenset(index for index, origin in enumerate(origins) if origin in far) if far else far

    def fires(self, prev: int, here: int) -> bool:
        """Return whether the step from instruction *prev* to *here* raises an event for the line of *here*."""
        if not self.starts[here]:
            return False
        instructions = self.instructions
        if self.lines[prev] != self.lines[here] or here in self.always_fires:
            return True
        if ANY_INSTRUCTION_STARTS_A_LINE:
            is_back = instructions.origins[here] < instructions.origins[prev]
            return prev <= instructions.first or (is_back and instructions.ops[here] != SEND)
        return instructions.ops[prev] == RESUME

    def eventless_sources(self, handler: int) -> frozenset[int]:
        """Return the instructions from which an exception may enter *handler* without a line event.

        *handler* is the first instruction of a handler, and starts a line.
        """
        line = self.lines[handler]
        on_line = (index for index, other in enumerate(self.lines) if other == line)
        return frozenset(index for index in on_line if not self.fires(index, handler))

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
    numbers = [line for line in lines if line is not None]
    first = instructions.code.co_firstlineno
    if not LINES_WRAP or not numbers or min(numbers) >= first - 1:
        return lines
    size = 256
    while max(numbers) - first + 2 >= size - 2:
        size *= 256
    return [None if line is None else first + (line - first + 2) % size - 2 for line in lines]


def _any_instructions(instructions: Instructions, lines: Lines) -> list[bool]:
    """Return the `starts` of 3.11: every instruction of the body that has a line, except RESUME."""
    first = instructions.first
    ops = instructions.ops
    return [line is not None and index > first and ops[index] != RESUME for index, line in enumerate(lines)]


def _line_starts(instructions: Instructions, lines: Lines) -> list[bool]:
    """Return the `starts` of 3.12 and later, as initialize_lines computes them."""
    ops = instructions.ops
    starts = _line_changes(instructions, lines)
    for target in _targets_of_jumps(instructions):
        starts[target] = lines[target] is not None
    for handler in instructions.table:
        if ops[handler.target] != END_ASYNC_FOR:
            starts[handler.target] = lines[handler.target] is not None
    return starts


def _line_changes(instructions: Instructions, lines: Lines) -> list[bool]:
    """Return for each instruction whether it has a line, and another line than the instruction above it."""
    ops = instructions.ops
    changes = [False] * len(ops)
    current: int | None = None
    for index in range(instructions.first, len(ops)):
        if ops[index] in NEVER_START_A_LINE:
            continue
        line = lines[index]
        changes[index] = line is not None and line != current
        current = line
    return changes


def _far_line_starts(instructions: Instructions, lines: Lines) -> frozenset[int]:
    """Return the instructions to which every step raises an event (versions.FAR_LINES_ALWAYS_FIRE)."""
    first = instructions.code.co_firstlineno
    targets = _targets_of_jumps(instructions)
    return frozenset(
        index
        for index, (line, changes) in enumerate(zip(lines, _line_changes(instructions, lines)))
        if line is not None
        and changes
        and index not in targets
        and not -126 < line - first - (instructions.starts[index] >> 4) <= 127
    )


def _targets_of_jumps(instructions: Instructions) -> set[int]:
    """Return the instructions that initialize_lines takes for targets of jumps."""
    ops = instructions.ops
    targets = set()
    for index, target in enumerate(instructions.targets):
        if target < 0 or index < instructions.first or ops[index] not in JUMPS:
            continue
        if ops[index] in (FOR_ITER, SEND):
            target += 1  # past END_FOR or END_SEND
            if target >= len(ops) or (POP_ITER_STARTS_NO_LINE and ops[target] in NEVER_START_A_LINE):
                continue
        targets.add(target)
    return targets
