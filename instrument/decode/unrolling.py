"""Small loops, unrolled: where the program is says how often it turned, so that fewer turns pass a probe.

`Instructions` come in; `Unrolled` instructions go out, in which the body of each small innermost loop stands several
times in a row. A loop needs one probe on its way round. Of a body that stands four times, that is one in four turns,
and what is left over follows from which copy the loop was left in. Each copy but the last goes on to the next without
the jump back, which pays for most of what the probe costs.

Nothing but the layout changes: every step of the unrolled code is a step of the original (`is_faithful`), so line
events, exits and handlers are those of the instructions that the copies are of. Interrupts are looked for on the jumps
back that are left. Where a jump back that is dropped has a line of its own, or a branch leads to it, an instruction
remains that has this line: a trace function and `sys.monitoring` see the lines and branches of the original.

Tried, and not worth it: to copy what follows where two ways join, to the end of the function or of the turn, so that
they never do (Mueller & Whalley, PLDI 1992), which saves a probe on one of the two and a jump. Of the probes that 16
programs pass, copies of up to 30 code units save 0.7 % (for 1.4 % more code), any number of any size 2.0 %; 5.8 % could
be saved if ways never joined at all. Calls, and turns of loops that are not unrolled, pass nine tenths of all probes.
"""

from __future__ import annotations

from instrument.decode.instructions import (
    BACKWARD,
    CACHES,
    FOR_ITER,
    JUMPS,
    OPCODES,
    PLAIN_JUMPS,
    REFERENCES,
    RESUME,
    SEND,
    YIELD_VALUE,
    Handler,
    Instructions,
)
from instrument.decode.line_events import PY311

#: How often a body stands there, by its size in code units. Of larger ones the probe is a small part. Where the body
#: branches, each copy needs counters for its branches.
_STRAIGHT = ((16, 4), (24, 3), (56, 2))
_BRANCHING = ((40, 2),)
_NEVER = frozenset((YIELD_VALUE, SEND, RESUME)) | REFERENCES
_BACK_TO_AWAIT = OPCODES["JUMP_BACKWARD_NO_INTERRUPT"]
_OPPOSITE = {
    OPCODES[f"POP_JUMP_BACKWARD_IF_{one}"]: OPCODES[f"POP_JUMP_FORWARD_IF_{other}"]
    for one, other in (("TRUE", "FALSE"), ("FALSE", "TRUE"), ("NONE", "NOT_NONE"), ("NOT_NONE", "NONE"))
    if f"POP_JUMP_BACKWARD_IF_{one}" in OPCODES
}


class Unrolled(Instructions):
    """The instructions of *source* with the bodies of *loops*, (first, last, how often), in copies.

    `origins` says for each instruction which one of the source it is a copy of. A jump back to the first instruction of
    a loop leads from each copy to the next, from the last to the first. Where that is the next instruction, the jump
    remains as one that takes no space, or becomes its opposite, out of the loop.

    The copies of a loop that turns within one line go upwards instead: control comes from the first copy to the last,
    and from each copy to the one above. So each turn is a jump back, whose line event nothing else could raise. The
    jump from the first copy to the last leads downwards, to another jump that leads upwards (rewrite.rewriter).
    """

    __slots__ = ()

    def __init__(self, source: Instructions, loops: list[tuple[int, int, int]]) -> None:
        self.source = source
        self.code = source.code
        self.first = source.first
        self.made_by = source.made_by
        origins: list[int] = []
        loop_of: list[tuple[int, int, int]] = []  # for each instruction: first and last of its loop, number of its copy
        start = 0
        for first, last, n in loops:
            origins.extend(range(start, last + 1))
            loop_of.extend([(-1, -1, 0)] * (first - start) + [(first, last, 0)] * (last + 1 - first))
            for copy in range(1, n):
                origins.extend(range(first, last + 1))
                loop_of.extend([(first, last, copy)] * (last + 1 - first))
            start = last + 1
        origins.extend(range(start, len(source)))
        loop_of.extend([(-1, -1, 0)] * (len(source) - start))
        self.origins = origins
        n_copies = {first: n for first, _, n in loops}
        upwards = {first for first, last, _ in loops if _turns_on_line(source, first, last)}
        index_of: dict[tuple[int, int], int] = {}  # (instruction of the source, number of the copy)
        for index, (origin, (_, _, copy)) in enumerate(zip(origins, loop_of)):
            index_of[origin, copy] = index

        def at(origin: int, loop: tuple[int, int, int]) -> int:
            first, last, copy = loop
            return index_of[origin, copy if first <= origin <= last else 0]

        self.ops = [source.ops[origin] for origin in origins]
        self.args = [source.args[origin] for origin in origins]
        self.starts = [source.starts[origin] for origin in origins]
        self.units = [source.units[origin] for origin in origins]
        self.lines = [source.lines[origin] for origin in origins]
        self.targets = []
        turns = set()
        for index, (origin, loop) in enumerate(zip(origins, loop_of)):
            target = source.targets[origin]
            first, last, copy = loop
            if target < 0:
                pass
            elif target == first and source.ops[origin] in BACKWARD:
                if origin == last and copy + 1 < n_copies[first] and source.ops[origin] in _OPPOSITE:
                    self.ops[index] = _OPPOSITE[source.ops[origin]]
                    target = index_of[last + 1, 0]
                else:
                    step = -1 if first in upwards else 1
                    target = index_of[first, (copy + step) % n_copies[first]]
                    if first in upwards and copy == 0:
                        turns.add(index)
            else:
                target = at(target, loop)
            self.targets.append(target)
        self.table = [
            Handler(index_of[handler.target, 0], handler.depth, handler.push_lasti) for handler in source.table
        ]
        self.handlers = []
        of_copy: dict[tuple[int, int], int] = {}
        for origin, loop in zip(origins, loop_of):
            number = source.handlers[origin]
            if number >= 0:
                handler = source.table[number]
                target = at(handler.target, loop)
                if target != self.table[number].target:
                    if (number, target) not in of_copy:
                        of_copy[number, target] = len(self.table)
                        self.table.append(Handler(target, handler.depth, handler.push_lasti))
                    number = of_copy[number, target]
            self.handlers.append(number)
        self._joins = None
        self.turns = frozenset(turns)
        self.ranks = [
            index if first not in upwards or not copy else index + (n_copies[first] - 2 * copy) * (last + 1 - first)
            for index, (first, last, copy) in enumerate(loop_of)
        ]

    def falls_into(self, index: int) -> bool:
        """Return whether control can go on to the instruction at *index* from the one above it."""
        return super().falls_into(index) or takes_no_space(self, index - 1)


def unroll(instructions: Instructions) -> Instructions:
    """Return *instructions* with small innermost loops unrolled; themselves if they have none."""
    loops = _small_loops(instructions)
    return Unrolled(instructions, loops) if loops else instructions


def _small_loops(instructions: Instructions) -> list[tuple[int, int, int]]:
    """Return the loops to unroll, in order: first and last instruction, and how often the body is to stand there."""
    ops, targets, units = instructions.ops, instructions.targets, instructions.units
    ends: dict[int, list[int]] = {}
    entered: dict[int, int] = {}  # for each target: the first instruction that jumps there
    for index, op in enumerate(ops):
        entered.setdefault(targets[index], index)
        if op in BACKWARD and op in JUMPS and op != _BACK_TO_AWAIT:
            ends.setdefault(targets[index], []).append(index)
    handlers = sorted(handler.target for handler in instructions.table)
    loops: list[tuple[int, int, int]] = []
    for first in sorted(ends):
        # Handlers stand behind the loop, and jump back into it.
        if ops[first] == FOR_ITER:
            bound = targets[first]
        else:
            bound = next((target for target in handlers if target > first), len(ops))
        last = max((end for end in ends[first] if end < bound), default=-1)
        if last < 0 or first <= instructions.first or (loops and first <= loops[-1][1]):
            continue
        size = units[last] + 1 + CACHES[ops[last]] - instructions.starts[first]
        body = range(first, last + 1)
        n_branches = sum(1 for index in body if targets[index] >= 0 and ops[index] not in PLAIN_JUMPS) - 1
        copies = _BRANCHING if n_branches > 0 else _STRAIGHT
        n = next((n for limit, n in copies if size <= limit), 1)
        if n == 1 or last + 1 == len(ops) or any(ops[index] in _NEVER for index in body):
            continue
        # A loop is entered at its first instruction: what looks like one may end in a handler that nothing leads to,
        # which 3.12 and later leave behind. And it is innermost.
        if all(
            entered.get(index, first) >= first and all(end > last for end in ends.get(index, ()))
            for index in range(first + 1, last + 1)
        ):
            loops.append((first, last, n))
    return loops


def _turns_on_line(instructions: Instructions, first: int, last: int) -> bool:
    """Return whether a jump back within one line leads to *first*, from an instruction up to *last*.

    From 3.12 on such a jump is an event that no other instruction raises, and only because it leads upwards.
    """
    lines, targets = instructions.lines, instructions.targets
    return not PY311 and any(
        targets[index] == first and lines[index] == lines[first] and lines[first] is not None
        for index in range(first, last + 1)
        if instructions.ops[index] in BACKWARD
    )


def takes_no_space(instructions: Instructions, index: int) -> bool:
    """Return whether the instruction at *index* is a jump back that has become a step to the next instruction."""
    op = instructions.ops[index]
    is_step = op in BACKWARD and op in PLAIN_JUMPS and instructions.targets[index] == index + 1
    return is_step and index not in instructions.turns


def is_faithful(instructions: Instructions) -> bool:
    """Return whether *instructions* go step by step where those of the source go."""
    source, origins = instructions.source, instructions.origins
    if source is instructions:
        return True
    for index, origin in enumerate(origins):
        op, meant = instructions.ops[index], source.ops[origin]
        target = instructions.targets[index]
        after = origins[index + 1] if index + 1 < len(origins) else -1
        leads_to = origins[target] if target >= 0 else -1
        if _OPPOSITE.get(meant) == op:
            after, leads_to = leads_to, after
        elif op != meant:
            return False
        if leads_to != source.targets[origin]:
            return False
        if after != origin + 1 and origin + 1 < len(source) and source.falls_into(origin + 1):
            return False
        number, meant_number = instructions.handlers[index], source.handlers[origin]
        if (number < 0) != (meant_number < 0):
            return False
        if number >= 0:
            handler, meant_handler = instructions.table[number], source.table[meant_number]
            if (origins[handler.target], handler.depth, handler.push_lasti) != (
                *(meant_handler.target, meant_handler.depth),
                meant_handler.push_lasti,
            ):
                return False
    return True
