"""Compares rewritten code with its original, independently of the rewriter.

The original instructions and an `Unlinked` come in; the first difference goes out as a text. Each original instruction
must stand at its unit with the same opcode, argument, position, jump target and exception handler. `path_check` then
follows control from one original to the next.
"""

from __future__ import annotations

from instrument.decode.instructions import Instructions, exception_table
from instrument.decode.opcodes import BACKWARD, CACHES, EXTENDED_ARG, JUMPS, RERAISE, RESUME, SWAP
from instrument.decode.unrolling import is_faithful
from instrument.flow.exits import is_left_above
from instrument.rewrite import probes
from instrument.rewrite.jumps import FORWARD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType

    from instrument.decode.instructions import Handler
    from instrument.rewrite.unlinked import Unlinked

    #: Where the exception table leads: code unit, -1 for outside; and depth * 2 + push_lasti.
    Landing = tuple[int, int]

_SAME_FIELDS = (
    *("co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags", "co_varnames", "co_cellvars"),
    *("co_freevars", "co_filename", "co_name", "co_qualname", "co_firstlineno"),
)
_OUTSIDE = (-1, 0)


def difference(originals: Instructions, unlinked: Unlinked) -> str:
    """Return how *unlinked* differs from *originals* where it must not, an empty string if it does not."""
    comparison = _Comparison(originals, unlinked.code, unlinked.units[: len(originals)])
    return (
        comparison.wrong_opcode()
        or _wrong_field(originals.code, unlinked.code)
        or comparison.wrong_position()
        or comparison.wrong_argument()
        or comparison.wrong_handler()
    )


def _wrong_field(original: CodeType, rewritten: CodeType) -> str:
    """Return which constant, name or other field of *rewritten* is not that of *original*, or an empty string."""
    n_names = len(original.co_names)
    same_constants = all(map(_is_same_constant, rewritten.co_consts, original.co_consts))
    if not same_constants or rewritten.co_names[:n_names] != original.co_names:
        return "constants or names differ"
    for name in _SAME_FIELDS:
        if getattr(rewritten, name) != getattr(original, name):
            return f"{name} differs"
    if rewritten.co_stacksize < original.co_stacksize + probes.STACK_OF_PROBE:
        return "the stack is too small"
    return ""


def _is_same_constant(one: object, other: object) -> bool:
    """Return whether *one* is *other*, or an equal constant of a type that the interpreter interns."""
    return one is other or (type(one) is type(other) and type(one) in (str, tuple, frozenset) and one == other)


class _Comparison:
    """The original instructions beside the rewritten code, in which they stand at *units*."""

    def __init__(self, originals: Instructions, rewritten: CodeType, units: Sequence[int]) -> None:
        self._originals = originals
        self._rewritten = rewritten
        self._raw = rewritten.co_code
        self._units = units
        self._arguments = _arguments(self._raw)

    def wrong_opcode(self) -> str:
        """Return "instructions differ" if an original has another opcode than its copy, else an empty string."""
        originals, raw, units = self._originals, self._raw, self._units
        if units[-1] >= len(raw) // 2 or not is_faithful(originals):
            return "instructions differ"
        for index, (op, unit) in enumerate(zip(originals.ops, units)):
            copy = raw[2 * unit]
            if copy != op and index not in originals.steps and (op not in BACKWARD or copy != FORWARD[op]):
                return "instructions differ"
        return ""

    def wrong_position(self) -> str:
        """Return whether positions or lines of an original differ, as a text; else an empty string."""
        originals, units = self._originals, self._units
        positions = list(self._rewritten.co_positions())
        expected = list(originals.code.co_positions())
        for index, (unit, original_unit) in enumerate(zip(units, originals.units)):
            if (
                positions[unit : unit + 1] != expected[original_unit : original_unit + 1]
                and index not in originals.steps
            ):
                return "positions differ"
        lines = originals.lines_of(self._rewritten, list(units))
        for index, (expected_line, line) in enumerate(zip(originals.lines, lines)):
            if expected_line != line and index not in originals.steps:
                return "lines differ"
        return ""

    def wrong_argument(self) -> str:
        """Return which instruction has another argument or jumps elsewhere, or an empty string."""
        originals, raw, units = self._originals, self._raw, self._units
        for index, (op, unit) in enumerate(zip(originals.ops, units)):
            if index in originals.steps:
                if unit > units[index + 1]:
                    return f"instruction {index} does not go on"
                continue
            argument = self._arguments.get(unit)
            expected = originals.args[index]
            if op == RESUME and argument != expected:
                expected = probes.argument_of_resume(expected)
            if argument is None or (originals.targets[index] < 0 and argument != expected):
                return f"the argument of instruction {index} differs"
            if op in JUMPS:
                after = unit + 1 + CACHES[raw[2 * unit]]
                target = after - argument if raw[2 * unit] in BACKWARD else after + argument
                if not self._is_at(target, originals.targets[index]) and target <= units[-1]:
                    return f"the jump at instruction {index} goes elsewhere"
        return ""

    def wrong_handler(self) -> str:
        """Return which instruction's exceptions do not arrive at its handler, or an empty string.

        Code may also rely on the order of the exception table; return a text if entries are out of order or overlap.
        """
        landings = self._landings()
        if landings is None:
            return "the exception table is out of order"
        originals, raw = self._originals, self._raw
        first_by_route: dict[tuple[int, Landing], int] = {}
        for index, unit in enumerate(self._units):
            if index in originals.steps:
                continue
            first_by_route.setdefault((originals.handlers[index], landings[unit]), index)
            if index and is_left_above(originals.ops[index]) and raw[2 * unit - 2] != EXTENDED_ARG:
                handler = originals.handlers[originals.above(index)]
                first_by_route.setdefault((handler, landings[unit - 1]), index)
        for (number, landing), index in first_by_route.items():
            handler_ = originals.table[number] if number >= 0 else None
            if not self._arrives(handler_, landing, landings):
                return f"the handler of instruction {index} is another"
        return ""

    def _landings(self) -> list[Landing] | None:
        """Return where exceptions of each code unit go; None if the exception table is out of order."""
        n_units = len(self._raw) // 2
        landings = [_OUTSIDE] * n_units
        end = 0
        for start, stop, target, depth_and_lasti in exception_table(self._rewritten.co_exceptiontable):
            if not end <= start < stop <= n_units or target >= n_units:
                return None
            landings[start:stop] = [(target, depth_and_lasti)] * (stop - start)
            end = stop
        return landings

    def _arrives(self, handler: Handler | None, landing: Landing, landings: list[Landing]) -> bool:
        """Return whether exceptions that go to *landing* arrive at *handler*, None for outside, as they should."""
        target, depth_and_lasti = landing
        if target < 0:
            return handler is None
        if handler is not None and self._is_at(target, handler.target):
            return depth_and_lasti == _depth_and_lasti(handler)
        return self._arrives_by_stub(handler, landing, landings)

    def _arrives_by_stub(self, handler: Handler | None, landing: Landing, landings: list[Landing]) -> bool:
        """Return whether the stub at *landing* leads to *handler*.

        A stub stands behind all originals, and may want lasti where the handler does not. Then it must drop lasti.
        """
        target, depth_and_lasti = landing
        expected = _depth_and_lasti(handler)
        if target <= self._units[-1] or depth_and_lasti not in (expected, expected | 1):
            return False
        end, drops_lasti = self._end_of_stub(target)
        if end < 0:
            return False
        op = self._raw[2 * end]
        if op == RERAISE:
            if self._arguments.get(end) != 1 or not depth_and_lasti & 1:
                return False
            next_target, next_depth_and_lasti = landings[end]
            if handler is None:
                return next_target < 0
            return self._is_at(next_target, handler.target) and next_depth_and_lasti == expected
        if handler is None or drops_lasti != (depth_and_lasti != expected):
            return False
        return self._is_at(end + 1 + CACHES[op] - self._arguments[end], handler.target)

    def _end_of_stub(self, unit: int) -> tuple[int, bool]:
        """Return the RERAISE or jump back that ends the stub at *unit*, -1 if none does, and whether lasti is dropped.

        Only code that drops lasti swaps it with the exception.
        """
        raw = self._raw
        drops_lasti = False
        while 2 * unit < len(raw):
            op = raw[2 * unit]
            if op == RERAISE or op in BACKWARD:
                return unit, drops_lasti
            drops_lasti |= op == SWAP
            unit += 1 + (CACHES[op] if unit in self._arguments else 0)
        return -1, drops_lasti

    def _is_at(self, unit: int, target: int) -> bool:
        """Return whether *unit* is that of the original *target*, or lies between this and the original above it."""
        originals = self._originals
        above = target - 1
        while above >= 0 and above in originals.steps:
            above -= 1
        end = self._units[above] + 1 + CACHES[self._raw[2 * self._units[above]]] if above >= 0 else 0
        return end <= unit <= self._units[target]


def _depth_and_lasti(handler: Handler | None) -> int:
    """Return the depth * 2 + push_lasti that *handler* wants; a stub whose exceptions go outside wants lasti."""
    return 1 if handler is None else handler.depth << 1 | handler.push_lasti


def _arguments(raw: bytes) -> dict[int, int]:
    """Return the full argument of each instruction of *raw*, by its code unit."""
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
