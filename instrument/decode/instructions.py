"""A code object as the lists that the analysis reads.

A code object comes in, `Instructions` go out: opcodes, arguments, offsets, lines, jump targets and exception handlers,
one entry for each instruction. An EXTENDED_ARG prefix and the inline caches belong to the instruction that they serve,
so an instruction has one index whatever its size, and order of indices is order of offsets.

Offsets are in code units of two bytes, as the interpreter keeps them in frames and exception tables.
(CPython: Objects/exception_handling_notes.txt, Objects/locations.md, Lib/dis.py.)
"""

from __future__ import annotations

import opcode
import sys
from _bisect import bisect_right

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType

_stack_effect = opcode.stack_effect
OPNAMES = opcode.opname
OPCODES = opcode.opmap


def _caches() -> list[int]:
    """Return the number of inline cache units that follow each opcode."""
    known = opcode._inline_cache_entries  # type: ignore[attr-defined]
    if hasattr(known, "get"):  # by name, since 3.13
        return [known.get(OPNAMES[op], 0) for op in range(256)]
    return list(known) + [0] * (256 - len(known))


def opcodes(*names: str) -> frozenset[int]:
    """Return the opcodes called *names*, those that this interpreter has."""
    return frozenset(OPCODES[name] for name in names if name in OPCODES)


CACHES = _caches()
CALLS = opcodes("CALL", "CALL_KW")
EXTENDED_ARG = OPCODES["EXTENDED_ARG"]
CALL = OPCODES["CALL"]
CALL_KW = OPCODES.get("CALL_KW", -1)
CALL_FUNCTION_EX = OPCODES["CALL_FUNCTION_EX"]
PUSH_NULL = OPCODES["PUSH_NULL"]
LOAD_CONST = OPCODES["LOAD_CONST"]
#: Instructions that push what they find under a name, and how far their argument is shifted to make room for flags.
NAMED = {
    OPCODES["LOAD_NAME"]: 0,
    OPCODES["LOAD_GLOBAL"]: 1,
    OPCODES["LOAD_ATTR"]: int(sys.version_info >= (3, 12)),
    OPCODES.get("LOAD_METHOD", -1): 0,
}
#: Instructions that load or store one local variable, of the function or of one around it.
_OF_VARIABLE = opcodes(
    *("LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW", "LOAD_FAST_AND_CLEAR", "LOAD_DEREF", "STORE_FAST"),
    "STORE_DEREF",
)
STORE_ATTR = OPCODES["STORE_ATTR"]
_STORES = {OPCODES["STORE_NAME"], OPCODES["STORE_GLOBAL"], STORE_ATTR}
_NAMES_OF_CALL = opcodes("KW_NAMES")
_PARTS_OF_CALL = opcodes("KW_NAMES", "PRECALL")
_PUSH_NO_CALLABLE = opcodes("PUSH_NULL", "NOP", "NOT_TAKEN")
LOAD_ATTR = OPCODES["LOAD_ATTR"]
LOAD_GLOBAL = OPCODES["LOAD_GLOBAL"]
_IMPORT_FROM = OPCODES["IMPORT_FROM"]
RESUME = OPCODES["RESUME"]
RETURN_GENERATOR = OPCODES["RETURN_GENERATOR"]
SEND = OPCODES["SEND"]
YIELD_VALUE = OPCODES["YIELD_VALUE"]
FOR_ITER = OPCODES["FOR_ITER"]
RERAISE = OPCODES["RERAISE"]
END_ASYNC_FOR = OPCODES["END_ASYNC_FOR"]
#: What stands behind a loop for when its iterator is exhausted.
ENDS_LOOP = opcodes("END_FOR", "POP_TOP", "POP_ITER")
#: From 3.14 on an exhausted FOR_ITER goes on to this one, which drops the iterator.
POP_ITER = OPCODES.get("POP_ITER", -1)
#: From 3.14 on this follows each conditional jump, for `sys.monitoring`.
NOT_TAKEN = OPCODES.get("NOT_TAKEN", -1)
# From 3.14 on the argument of END_ASYNC_FOR says where its SEND is, for monitoring; control never goes there.
REFERENCES = frozenset(op for op in opcode.hasjrel if op == END_ASYNC_FOR)
JUMPS = frozenset(op for op in opcode.hasjrel if op < 256) - REFERENCES
BACKWARD = frozenset(op for op in JUMPS | REFERENCES if "BACKWARD" in OPNAMES[op] or op == END_ASYNC_FOR)
PLAIN_JUMPS = opcodes("JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT")
RETURNS = opcodes("RETURN_VALUE", "RETURN_CONST")
RAISES = opcodes("RAISE_VARARGS", "RERAISE")
# These go on to the next instruction or raise again what was caught; either way they add no traceback entry.
MAY_RERAISE = opcodes("END_ASYNC_FOR", "CLEANUP_THROW")
# An exhausted FOR_ITER jumps past these (bytecodes.c: "JUMPBY(oparg + 1)"; 3.13 skips the POP_TOP behind END_FOR too).
SKIPPED_AT_EXHAUSTION = ("END_FOR", "POP_TOP") if sys.version_info[:2] == (3, 13) else ("END_FOR",)


class Handler:
    """One target of the exception table: the first instruction there, the stack depth it wants, and whether lasti is
    pushed.
    """

    __slots__ = ("depth", "push_lasti", "target")

    def __init__(self, target: int, depth: int, push_lasti: bool) -> None:
        self.target = target
        self.depth = depth
        self.push_lasti = push_lasti

    def __repr__(self) -> str:
        return f"<handler at {self.target}, depth {self.depth}{', lasti' if self.push_lasti else ''}>"


class Instructions:
    """The instructions of *code*, by index.

    `ops`, `args`: opcode and full argument. `starts`: first unit, prefixes included; `units`: the opcode's own unit.
    `lines`: line or None. `targets`: index that a jump goes to (or a reference names), else -1. `handlers`: index into
    `table`, the distinct exception handlers, or -1. `first`: index of the RESUME that the body starts with, before
    which nothing is traced.

    `source` and `origins` are these same instructions, and their own indices, unless some stand here in several copies
    (flow.unrolling). `ranks` is the order in which control comes to them if it does not jump back: their own order,
    unless copies of a loop go upwards. Then `turns` are the jumps back that lead to a copy further below.
    """

    __slots__ = (
        *("_joins", "args", "code", "first", "handlers", "lines", "made_by", "ops", "origins", "ranks", "source"),
        *("starts", "table", "targets", "turns", "units"),
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
        # The body of a generator starts behind RETURN_GENERATOR; from 3.15 on another RESUME may stand before that.
        self.first = ops.index(RESUME, ops.index(RETURN_GENERATOR) if RETURN_GENERATOR in ops else 0)
        #: From here on an exception may be thrown in: the RETURN_GENERATOR of a generator that was never started.
        self.made_by = ops.index(RETURN_GENERATOR) if RETURN_GENERATOR in ops else self.first
        self.lines = self.lines_of(code, starts)
        self.targets = self._targets_of()
        self.table, self.handlers = self._handlers_of(code)
        self._joins: frozenset[int] | None = None

    def __len__(self) -> int:
        return len(self.ops)

    @staticmethod
    def lines_of(code: CodeType, starts: list[int]) -> list[int | None]:
        """Return the line of each instruction of *code*, which begin at *starts*, as tracebacks have it."""
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

    def _targets_of(self) -> list[int]:
        index_of = dict(zip(self.starts, range(len(self.starts))))
        targets = [-1] * len(self.ops)
        jumps = JUMPS | REFERENCES
        for index, op in enumerate(self.ops):
            if op in jumps:
                after = self.units[index] + 1 + CACHES[op]
                target = after - self.args[index] if op in BACKWARD else after + self.args[index]
                targets[index] = index_of[target]
        return targets

    def _handlers_of(self, code: CodeType) -> tuple[list[Handler], list[int]]:
        handlers = [-1] * len(self.ops)
        table: list[Handler] = []
        known: dict[tuple[int, int], int] = {}
        index_of = dict(zip(self.starts, range(len(self.starts))))
        index = 0
        units = self.units
        n = len(units)
        for start, end, target, depth_and_lasti in exception_table(code.co_exceptiontable):
            key = target, depth_and_lasti
            if key not in known:
                known[key] = len(table)
                table.append(Handler(index_of[target], depth_and_lasti >> 1, bool(depth_and_lasti & 1)))
            while index < n and units[index] < start:
                index += 1
            while index < n and units[index] < end:
                handlers[index] = known[key]
                index += 1
        return table, handlers

    def index_at(self, unit: int) -> int:
        """Return the index of the instruction that *unit* belongs to, its caches included."""
        return bisect_right(self.starts, unit) - 1

    def falls_into(self, index: int) -> bool:
        """Return whether control can go on to the instruction at *index* from the one above it."""
        above = self.ops[index - 1]
        return above not in RETURNS and above not in RAISES and above not in PLAIN_JUMPS

    def above(self, index: int) -> int:
        """Return the instruction above the one at *index*, where a copy of another one does not stand in between."""
        origin = self.origins[index]
        if index and self.origins[index - 1] != origin - 1:
            index = self.origins.index(origin)
        return index - 1

    def n_skipped_at(self, target: int) -> int:
        """Return how many instructions from *target* on an exhausted FOR_ITER that leads there skips."""
        n = 0
        for name in SKIPPED_AT_EXHAUSTION:
            if target + n < len(self.ops) and OPNAMES[self.ops[target + n]] == name:
                n += 1
            else:
                break
        return n

    def start_of_call(self, call: int) -> int:
        """Return the first of the instructions that make up *call*: its keywords and PRECALL belong to it."""
        while call > 0 and self.ops[call - 1] in _PARTS_OF_CALL:
            call -= 1
        return call

    def keywords_of(self, call: int) -> tuple[str, ...]:
        """Return the names of the keyword arguments of *call*."""
        start = self.start_of_call(call)
        if self.ops[start] in _NAMES_OF_CALL:
            names = self.code.co_consts[self.args[start]]
        elif self.ops[call] == CALL_KW and self.ops[call - 1] == LOAD_CONST:
            names = self.code.co_consts[self.args[call - 1]]
        else:
            names = ()
        return names if isinstance(names, tuple) else ()

    def callable_of(self, call: int) -> int:
        """Return the instruction that pushed the callable of *call*; -1 if the operands are not computed in a straight
        line.
        """
        missing = self.args[call] + (self.ops[call] == CALL_KW)
        if self.ops[call] == CALL_FUNCTION_EX:
            missing = 1 + (self.args[call] & 1 if sys.version_info < (3, 14) else 1)
        index = self.start_of_call(call) - 1
        ops, joins = self.ops, self.joins
        while index > self.first and self.targets[index] < 0 and ops[index] not in RETURNS and ops[index] not in RAISES:
            if missing == 0 and ops[index] not in _PUSH_NO_CALLABLE:
                return index
            if index in joins:  # what stands above is not the only way here
                break
            op = ops[index]
            if missing:
                missing -= _stack_effect(op, self.args[index] if op >= opcode.HAVE_ARGUMENT else None)
            index -= 1
        return -1

    def passes_keywords(self, call: int) -> bool:
        """Return whether *call*, a CALL_FUNCTION_EX, has keyword arguments."""
        if sys.version_info >= (3, 14):
            return self.ops[call - 1] != PUSH_NULL
        return bool(self.args[call] & 1)

    def loaded_at(self, index: int) -> str:
        """Return the name of what the instruction at *index* loads, an empty string if that has none."""
        op, arg = self.ops[index], self.args[index]
        if op in NAMED:
            return self.code.co_names[arg >> NAMED[op]]
        if op == _IMPORT_FROM:
            return self.code.co_names[arg]
        return self._variable(arg) if op in _OF_VARIABLE else ""

    def stored_at(self, index: int) -> str:
        """Return the name that the instruction at *index* stores something under, an empty string if it does not."""
        op, arg = self.ops[index], self.args[index]
        if op in _STORES:
            return self.code.co_names[arg]
        return self._variable(arg) if op in _OF_VARIABLE and OPNAMES[op].startswith("STORE") else ""

    def _variable(self, number: int) -> str:
        name: str = self.code._varname_from_oparg(number)  # type: ignore[attr-defined]
        return name

    @property
    def joins(self) -> frozenset[int]:
        """The targets of jumps, and the handlers of exceptions."""
        if self._joins is None:
            self._joins = frozenset(self.targets).union(handler.target for handler in self.table)
        return self._joins

    def describe(self, index: int) -> str:
        """Return one line about the instruction at *index*, for messages and drawings."""
        target = self.targets[index]
        arrow = f" -> {target}" if target >= 0 else ""
        return f"{index:4d} line {self.lines[index]}: {OPNAMES[self.ops[index]]} {self.args[index]}{arrow}"


def exception_table(table: bytes) -> list[tuple[int, int, int, int]]:
    """Return the entries of *table*: first unit, unit after the last, handler's unit, depth * 2 + push_lasti."""
    numbers: list[int] = []
    value = 0
    for byte in table:
        value = value << 6 | byte & 63
        if not byte & 64:
            numbers.append(value)
            value = 0
    fields = iter(numbers)
    return [(start, start + size, target, rest) for start, size, target, rest in zip(fields, fields, fields, fields)]
