"""Decodes a code object into lists that the analysis reads.

A code object comes in; `Instructions` go out: opcodes, arguments, offsets, lines, jump targets and exception handlers,
one entry for each instruction. An EXTENDED_ARG prefix and inline caches belong to the instruction that they serve. So
an instruction has one index, and instructions have their indices in the order of their offsets.

Offsets are in code units of two bytes, as the interpreter keeps them in frames and exception tables
(CPython: Objects/exception_handling_notes.txt, Objects/locations.md, Lib/dis.py).
"""

from __future__ import annotations

from _bisect import bisect_left
from _operator import add, ne
from itertools import compress

from instrument.decode.opcodes import (
    BACKWARD,
    CACHE,
    CACHES,
    EXTENDED_ARG,
    IS_UNKNOWN,
    JUMPS,
    OPNAMES,
    RAISES,
    REFERENCES,
    RESUME,
    RETURN_GENERATOR,
    RETURNS,
    SKIPPED,
    UNCONDITIONAL_JUMPS,
    flags_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType


#: Opcodes that belong to the instruction behind or in front of them.
_NO_INSTRUCTIONS = bytes((CACHE, EXTENDED_ARG))
_IS_INSTRUCTION = flags_of(set(range(256)).difference(_NO_INSTRUCTIONS))
_NEVER_GOES_ON = RETURNS | RAISES | UNCONDITIONAL_JUMPS
#: By opcode: whether it is that of a jump or a reference.
HAS_TARGET = flags_of(JUMPS | REFERENCES)
#: By opcode: one unit, and its caches.
_SIZES = bytes(1 + n_caches for n_caches in CACHES)


class Handler:
    """A distinct target of the exception table.

    *target* is the first instruction of the handler, *depth* the stack depth that it expects, and *push_lasti* whether
    the interpreter pushes lasti for it.
    """

    __slots__ = ("depth", "push_lasti", "target")

    def __init__(self, target: int, depth: int, push_lasti: bool) -> None:
        self.target = target
        self.depth = depth
        self.push_lasti = push_lasti

    def __repr__(self) -> str:
        return f"<handler at {self.target}, depth {self.depth}{', lasti' if self.push_lasti else ''}>"


class Instructions:
    """The instructions of *code*, in lists by index.

        ops             opcodes, as bytes
        args            arguments, with the bits of their prefixes
        starts          code unit of the first prefix, or of the opcode if there is none
        units           code unit of the opcode
        lines           line number, or None
        targets         index that a jump goes to, or that a reference names (opcodes.REFERENCES); -1 for others
        jumps           indices of the jumps and references, ascending
        handlers        index in `table` of the handler of exceptions, or -1
        table           the distinct handlers
        first           index of the RESUME that the body starts with; nothing above it is traced
        throwable_from  index from which on an exception may be thrown in: RETURN_GENERATOR, else `first`

    In unrolled code (decode.unrolling) an instruction may be present in several copies:

        source          the Instructions before unrolling, or these Instructions themselves
        origins         for each instruction its index in `source`
        ranks           the order in which control reaches the instructions if it does not jump back
        turns           jumps back that lead to a copy further below
        steps           jumps back that have become a step to the next instruction, and take no space
    """

    __slots__ = (
        *("_joins", "args", "code", "first", "handlers", "jumps", "lines", "ops", "origins", "ranks", "source"),
        *("starts", "steps", "table", "targets", "throwable_from", "turns", "units"),
    )

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.source: Instructions = self
        self._decode(code.co_code)
        ops = self.ops
        n = len(ops)
        self.origins: Sequence[int] = range(n)
        self.ranks: Sequence[int] = self.origins
        self.turns: frozenset[int] = frozenset()
        self.steps: frozenset[int] = frozenset()
        # The body of a generator starts behind RETURN_GENERATOR; from 3.15 on another RESUME may stand above that.
        generator = ops.find(RETURN_GENERATOR)
        self.first = ops.index(RESUME, max(generator, 0))
        self.throwable_from = generator if generator >= 0 else self.first
        self.lines = self.lines_of(code, self.starts)
        self.jumps = list(compress(self.origins, ops.translate(HAS_TARGET)))
        self.targets = self._targets()
        self.table, self.handlers = self._handlers()
        self._joins: frozenset[int] | None = None

    def __len__(self) -> int:
        return len(self.ops)

    def _decode(self, raw: bytes) -> None:
        """Set `ops`, `args`, `units` and `starts` from *raw*, a `co_code`, in which caches are zero.

        Raise ValueError if *raw* has an opcode that the table of opcodes lacks, or is cut off.
        """
        opcodes = raw[::2]
        unknown = opcodes.translate(IS_UNKNOWN).find(1)
        if unknown >= 0:
            raise ValueError(f"{OPNAMES[opcodes[unknown]]} is no opcode that this release knows")
        is_instruction = opcodes.translate(_IS_INSTRUCTION)
        self.ops = opcodes.translate(None, _NO_INSTRUCTIONS)
        self.args = args = list(compress(raw[1::2], is_instruction))
        self.units = units = list(compress(range(len(opcodes)), is_instruction))
        self.starts = starts = [0, *map(add, units, self.ops.translate(_SIZES))]
        if starts.pop() != len(opcodes):
            raise ValueError("the last instruction is cut off")
        for index in compress(range(len(units)), map(ne, units, starts)) if units != starts else ():
            start, unit = starts[index], units[index]
            if opcodes.count(EXTENDED_ARG, start, unit) != unit - start:
                raise ValueError(f"code unit {start} is no instruction")
            args[index] |= int.from_bytes(raw[2 * start + 1 : 2 * unit : 2], "big") << 8

    @staticmethod
    def lines_of(code: CodeType, starts: list[int]) -> list[int | None]:
        """Return the line of each instruction of *code*, as tracebacks have it; *starts* are their first code units."""
        lines: list[int | None] = []
        index = 0
        for _, end, line in code.co_lines():
            stop = bisect_left(starts, end >> 1, index)
            lines += [line] * (stop - index)
            index = stop
        lines += [None] * (len(starts) - index)
        return lines

    def _targets(self) -> list[int]:
        ops, args, units, starts = self.ops, self.args, self.units, self.starts
        n = len(ops)
        targets = [-1] * n
        for index in self.jumps:
            op = ops[index]
            after = units[index] + 1 + CACHES[op]
            unit = after - args[index] if op in BACKWARD else after + args[index]
            target = bisect_left(starts, unit)
            if target == n or starts[target] != unit:
                raise ValueError(f"instruction {index} leads to code unit {unit}, where no instruction begins")
            targets[index] = target
        return targets

    def _handlers(self) -> tuple[list[Handler], list[int]]:
        """Return the distinct handlers, and for each instruction the number of its handler or -1."""
        units, starts = self.units, self.starts
        handlers = [-1] * len(units)
        table: list[Handler] = []
        number_of: dict[tuple[int, int], int] = {}
        first = 0
        for start, end, unit, depth_and_lasti in exception_table(self.code.co_exceptiontable):
            key = unit, depth_and_lasti
            if key not in number_of:
                target = bisect_left(starts, unit)
                if target == len(starts) or starts[target] != unit:
                    raise ValueError(f"a handler begins at code unit {unit}, where no instruction begins")
                number_of[key] = len(table)
                table.append(Handler(target, depth_and_lasti >> 1, bool(depth_and_lasti & 1)))
            first = bisect_left(units, start, first)
            stop = bisect_left(units, end, first)
            handlers[first:stop] = [number_of[key]] * (stop - first)
            first = stop
        return table, handlers

    def falls_into(self, index: int) -> bool:
        """Return whether control can go on to the instruction at *index* from the instruction above it."""
        return self.ops[index - 1] not in _NEVER_GOES_ON or index - 1 in self.steps

    def above(self, index: int) -> int:
        """Return the instruction that stands above the one at *index* in the original code.

        Where a copy of a loop stands between the two, that is the instruction above the first copy of *index*.
        """
        origin = self.origins[index]
        if index and self.origins[index - 1] != origin - 1:
            index = self.origins.index(origin)
        return index - 1

    def n_skipped_at(self, target: int) -> int:
        """Return how many instructions an exhausted FOR_ITER that leads to *target* skips there."""
        n = 0
        for op in SKIPPED:
            if target + n >= len(self.ops) or self.ops[target + n] != op:
                break
            n += 1
        return n

    @property
    def joins(self) -> frozenset[int]:
        """The targets of jumps and the first instructions of handlers."""
        if self._joins is None:
            targets = self.targets
            self._joins = frozenset([targets[jump] for jump in self.jumps] + [entry.target for entry in self.table])
        return self._joins

    def describe(self, index: int) -> str:
        """Return one line of text about the instruction at *index*."""
        target = self.targets[index]
        arrow = f" -> {target}" if target >= 0 else ""
        return f"{index:4d} line {self.lines[index]}: {OPNAMES[self.ops[index]]} {self.args[index]}{arrow}"


def exception_table(table: bytes) -> list[tuple[int, int, int, int]]:
    """Return the entries of *table*, a `co_exceptiontable`, in the order of the code.

    An entry is: first code unit, code unit after the last, code unit of the handler, 2 * depth + push_lasti.
    """
    if not table:
        return []
    numbers: list[int] = []
    value = 0
    for byte in table:
        value = value << 6 | byte & 63
        if not byte & 64:
            numbers.append(value)
            value = 0
    fields = iter(numbers)
    return [(start, start + size, target, rest) for start, size, target, rest in zip(fields, fields, fields, fields)]
