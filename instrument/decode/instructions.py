"""Decodes a code object into lists that the analysis reads.

A code object comes in; `Instructions` go out: opcodes, arguments, offsets, lines, jump targets and exception handlers,
one entry for each instruction. An EXTENDED_ARG prefix and inline caches belong to the instruction that they serve. So
an instruction has one index, and instructions have their indices in the order of their offsets.

Offsets are in code units of two bytes, as the interpreter keeps them in frames and exception tables
(CPython: Objects/exception_handling_notes.txt, Objects/locations.md, Lib/dis.py).
"""

from __future__ import annotations

from instrument.decode.opcodes import (
    BACKWARD,
    CACHES,
    EXTENDED_ARG,
    JUMPS,
    OPNAMES,
    RAISES,
    REFERENCES,
    RESUME,
    RETURN_GENERATOR,
    RETURNS,
    SKIPPED,
    UNCONDITIONAL_JUMPS,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType


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

        ops, args       opcode, and argument with the bits of its prefixes
        starts          code unit of the first prefix, or of the opcode if there is none
        units           code unit of the opcode
        lines           line number, or None
        targets         index that a jump goes to, or that a reference names (opcodes.REFERENCES); -1 for others
        handlers        index in `table` of the handler of exceptions, or -1
        table           the distinct handlers
        first           index of the RESUME that the body starts with; nothing above it is traced
        throwable_from  index from which on an exception may be thrown in: RETURN_GENERATOR, else `first`

    In unrolled code (decode.unrolling) an instruction may be present in several copies:

        source          the Instructions before unrolling, or these Instructions themselves
        origins         for each instruction its index in `source`
        ranks           the order in which control reaches the instructions if it does not jump back
        turns           jumps back that lead to a copy further below
    """

    __slots__ = (
        *("_joins", "args", "code", "first", "handlers", "lines", "ops", "origins", "ranks", "source", "starts"),
        *("table", "targets", "throwable_from", "turns", "units"),
    )

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.source: Instructions = self
        ops: list[int] = []
        args: list[int] = []
        starts: list[int] = []
        units: list[int] = []
        raw = code.co_code
        caches = CACHES
        n_units = len(raw) // 2
        unit = start = prefix = 0
        while unit < n_units:
            op = raw[2 * unit]
            arg = raw[2 * unit + 1] | prefix
            if op == EXTENDED_ARG:
                prefix = arg << 8
                unit += 1
                continue
            ops.append(op)
            args.append(arg)
            starts.append(start)
            units.append(unit)
            unit += 1 + caches[op]
            start = unit
            prefix = 0
        if prefix or unit != n_units:
            raise ValueError("the last instruction is cut off")
        self.ops = ops
        self.origins: Sequence[int] = range(len(ops))
        self.ranks: Sequence[int] = self.origins
        self.turns: frozenset[int] = frozenset()
        self.args = args
        self.starts = starts
        self.units = units
        # The body of a generator starts behind RETURN_GENERATOR; from 3.15 on another RESUME may stand above that.
        self.first = ops.index(RESUME, ops.index(RETURN_GENERATOR) if RETURN_GENERATOR in ops else 0)
        self.throwable_from = ops.index(RETURN_GENERATOR) if RETURN_GENERATOR in ops else self.first
        self.lines = self.lines_of(code, starts)
        self.targets = self._targets()
        self.table, self.handlers = self._handlers()
        self._joins: frozenset[int] | None = None

    def __len__(self) -> int:
        return len(self.ops)

    @staticmethod
    def lines_of(code: CodeType, starts: list[int]) -> list[int | None]:
        """Return the line of each instruction of *code*, as tracebacks have it; *starts* are their first code units."""
        lines: list[int | None] = []
        index = 0
        n = len(starts)
        for _, end, line in code.co_lines():
            end >>= 1
            while index < n and starts[index] < end:
                lines.append(line)
                index += 1
        lines.extend([None] * (n - len(lines)))
        return lines

    def _targets(self) -> list[int]:
        index_of = dict(zip(self.starts, range(len(self.starts))))
        targets = [-1] * len(self.ops)
        jumps = JUMPS | REFERENCES
        for index, op in enumerate(self.ops):
            if op in jumps:
                after = self.units[index] + 1 + CACHES[op]
                target = after - self.args[index] if op in BACKWARD else after + self.args[index]
                targets[index] = index_of[target]
        return targets

    def _handlers(self) -> tuple[list[Handler], list[int]]:
        """Return the distinct handlers, and for each instruction the number of its handler or -1."""
        handlers = [-1] * len(self.ops)
        table: list[Handler] = []
        number_of: dict[tuple[int, int], int] = {}
        index_of = dict(zip(self.starts, range(len(self.starts))))
        index = 0
        units = self.units
        n = len(units)
        for start, end, target, depth_and_lasti in exception_table(self.code.co_exceptiontable):
            key = target, depth_and_lasti
            if key not in number_of:
                number_of[key] = len(table)
                table.append(Handler(index_of[target], depth_and_lasti >> 1, bool(depth_and_lasti & 1)))
            while index < n and units[index] < start:
                index += 1
            while index < n and units[index] < end:
                handlers[index] = number_of[key]
                index += 1
        return table, handlers

    def falls_into(self, index: int) -> bool:
        """Return whether control can go on to the instruction at *index* from the instruction above it."""
        above = self.ops[index - 1]
        return above not in RETURNS and above not in RAISES and above not in UNCONDITIONAL_JUMPS

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
            self._joins = frozenset(self.targets).union(handler.target for handler in self.table)
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
    numbers: list[int] = []
    value = 0
    for byte in table:
        value = value << 6 | byte & 63
        if not byte & 64:
            numbers.append(value)
            value = 0
    fields = iter(numbers)
    return [(start, start + size, target, rest) for start, size, target, rest in zip(fields, fields, fields, fields)]
