"""Which instructions raise a line event, on Python 3.11 to 3.15.

`Instructions` come in; `LineEvents` answers whether the step from one instruction to the next is a line event: the
moment at which a trace function would be told of a line, which is what `trace` counts. The event is a function of the
step, not of the instruction alone, and the function differs between 3.11 and later versions.

This is one of the two rooms that compare version numbers (the other is `rewrite.probes`).

3.11 looks at every instruction (ceval.c: maybe_call_line_trace):

    fires  <=>  line(here) is not None
           and ( prev <= first  or  line(here) != line(prev)  or  (here < prev and op(here) is not SEND) )

3.12 and later look only at instructions that start a line (instrumentation.c: initialize_lines), a static set:

    fires  <=>  here starts a line  and  ( line(prev) != line(here)  or  op(prev) is RESUME )

(3.13.0 looks at prev only in some places: _ALWAYS_FIRES_FAR_BELOW), and a JUMP_BACKWARD within one line raises one more
event for that line (Python/instrumentation.c:
_Py_call_instrumentation_jump).
"""

from __future__ import annotations

import sys

from instrument.decode.instructions import (
    END_ASYNC_FOR,
    FOR_ITER,
    JUMPS,
    OPCODES,
    RESUME,
    SEND,
    Instructions,
    opcodes,
)

PY311 = sys.version_info < (3, 12)
#: After a Python-to-Python call that the interpreter inlined, f_lasti stands on the call's last inline cache, which has
#: no line there (in 3.11 it does):
#: `x = c and f()` is two events when f is a Python function and one when it is built in. So are properties,
#: `__getitem__` and `__getattribute__` once the instruction was specialised for them, which is not counted: it would
#: take a probe in each `a or self.b`, which are all one now (placement: Plan.free), and asking what became of the code.
INLINED_CALL_LOSES_LINE = sys.version_info[:2] == (3, 12)
#: The interpreter keeps line - co_firstlineno + 2 in a byte if the code spans fewer than 254 lines; lines above the
#: `def` line (hand-made syntax trees) wrap around. Seen in 3.13.5 and later, not in 3.13.0.
LINES_WRAP = sys.version_info >= (3, 13, 1)
#: Before that it keeps line - co_firstlineno - offset // 16 in a signed byte, and where that does not fit, 3.13.0 notes
#: whether the instruction above is on another line. If so it takes the line to be new, but for targets of jumps. It
#: forgets the targets of exceptions, which so raise events that others do not (initialize_lines: LINENO_CHANGE).
_ALWAYS_FIRES_FAR_BELOW = (3, 13) <= sys.version_info < (3, 13, 1)
#: Up to 3.13 a handler can be told where an exception was raised, or raised again. Later the traceback is asked, which
#: has only the first of the two.
PLACES_ARE_OF_TRACEBACK = sys.version_info >= (3, 14)

_NEVER_START = opcodes("RESUME", "END_FOR", "END_SEND", "END_ASYNC_FOR") | (
    opcodes("POP_ITER") if sys.version_info >= (3, 14) else frozenset()
)
_JUMP_BACKWARD = OPCODES["JUMP_BACKWARD"]


class LineEvents:
    """The line events of *instructions*: where lines start, and which steps raise an event."""

    __slots__ = ("always", "instructions", "lines", "starts")

    def __init__(self, instructions: Instructions) -> None:
        self.instructions = instructions
        source, origins = instructions.source, instructions.origins
        lines = _reported_lines(source)
        starts = _every_line(source, lines) if PY311 else _line_starts(source, lines)
        self.lines = [lines[origin] for origin in origins]
        self.starts = [starts[origin] for origin in origins]
        always = _far_below(source, lines) if _ALWAYS_FIRES_FAR_BELOW else frozenset()
        #: Instructions to which every step is an event.
        self.always = frozenset(index for index, origin in enumerate(origins) if origin in always) if always else always

    def fires(self, prev: int, here: int) -> bool:
        """Return whether going on from instruction *prev* to *here* is a line event for the line of *here*."""
        if not self.starts[here]:
            return False
        instructions = self.instructions
        if self.lines[prev] != self.lines[here] or here in self.always:
            return True
        if PY311:
            is_back = instructions.origins[here] < instructions.origins[prev]
            return prev <= instructions.first or (is_back and instructions.ops[here] != SEND)
        return instructions.ops[prev] == RESUME

    def eventless_sources(self, handler: int) -> frozenset[int]:
        """Return the instructions from which an exception may enter *handler*, a line start, without raising a line
        event.
        """
        line = self.lines[handler]
        on_line = (index for index, other in enumerate(self.lines) if other == line)
        return frozenset(index for index in on_line if not self.fires(index, handler))

    def loops_on_one_line(self, jump: int, target: int) -> bool:
        """Return whether the jump from *jump* to *target* is a line event of its own, beside what *target* raises."""
        return (
            not PY311
            and self.instructions.ops[jump] == _JUMP_BACKWARD
            and self.lines[jump] is not None
            and self.lines[jump] == self.lines[target]
        )


def _reported_lines(instructions: Instructions) -> list[int | None]:
    """Return the lines as the interpreter reports them, which are those of the line table but for LINES_WRAP."""
    lines = instructions.lines
    known = [line for line in lines if line is not None]
    first = instructions.code.co_firstlineno
    if not LINES_WRAP or not known or min(known) >= first - 1:
        return lines
    size = 256
    while max(known) - first + 2 >= size - 2:
        size *= 256
    return [None if line is None else first + (line - first + 2) % size - 2 for line in lines]


def _every_line(instructions: Instructions, lines: list[int | None]) -> list[bool]:
    first = instructions.first
    ops = instructions.ops
    return [line is not None and index > first and ops[index] != RESUME for index, line in enumerate(lines)]


def _line_changes(instructions: Instructions, lines: list[int | None]) -> list[bool]:
    """Return for each instruction whether it has a line, and another one than what stands above it."""
    ops = instructions.ops
    changes = [False] * len(ops)
    current: int | None = None
    for index in range(instructions.first, len(ops)):
        if ops[index] in _NEVER_START:
            continue
        line = lines[index]
        changes[index] = line is not None and line != current
        current = line
    return changes


def _far_below(instructions: Instructions, lines: list[int | None]) -> frozenset[int]:
    """Return the instructions to which every step is an event if _ALWAYS_FIRES_FAR_BELOW."""
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
    """Return the instructions that jumps lead to."""
    ops = instructions.ops
    found = set()
    for index, target in enumerate(instructions.targets):
        if target < 0 or index < instructions.first or ops[index] not in JUMPS:
            continue
        if ops[index] in (FOR_ITER, SEND):
            target += 1  # past END_FOR or END_SEND
            if target >= len(ops) or (sys.version_info >= (3, 14) and ops[target] in _NEVER_START):
                continue
        found.add(target)
    return found


def _line_starts(instructions: Instructions, lines: list[int | None]) -> list[bool]:
    ops = instructions.ops
    starts = _line_changes(instructions, lines)
    for target in _targets_of_jumps(instructions):
        starts[target] = lines[target] is not None
    for handler in instructions.table:
        if ops[handler.target] != END_ASYNC_FOR:
            starts[handler.target] = lines[handler.target] is not None
    return starts
