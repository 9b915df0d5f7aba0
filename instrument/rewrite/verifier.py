"""Compares rewritten code with its original, independently of the rewriter.

A `RewrittenCode` comes in; the first difference goes out as a text. Each original instruction
must stand at its unit with the same opcode, argument, position, jump target and exception handler. `path_check` then
follows control from one original to the next.

Most originals stand in *runs*: nothing was added between them, nor taken away. So the bytes of whole runs are compared,
and so are the parts of the location tables that belong to them. Only jumps are compared one by one, as their distances
change. If the bytes of a run differ, its instructions are compared one by one.
"""

from __future__ import annotations

from _bisect import bisect_left, bisect_right
from _operator import attrgetter, is_, lt, sub
from itertools import chain

from instrument.decode.instructions import Instructions, exception_table
from instrument.decode.location_entries import LocationEntries, end_if_alike
from instrument.decode.opcodes import (
    BACKWARD,
    CACHES,
    EXTENDED_ARG,
    JUMPS,
    RERAISE,
    RESUME,
    SWAP,
    UNCONDITIONAL_JUMPS,
    flags_of,
)
from instrument.decode.unrolling import changes_in, is_faithful, starts_of_copies
from instrument.decode.versions import CALLERS_ARE_LEFT_ABOVE
from instrument.flow.exits import is_left_above
from instrument.rewrite import probes
from instrument.rewrite.jumps import FORWARD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType

    from instrument.decode.instructions import Handler

    #: Where the exception table leads: code unit, -1 for outside; and depth * 2 + push_lasti.
    Landing = tuple[int, int]

_SAME_FIELDS = (
    *("co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags", "co_varnames", "co_cellvars"),
    *("co_freevars", "co_filename", "co_name", "co_qualname", "co_firstlineno"),
)
_same_fields = attrgetter(*_SAME_FIELDS)
_OUTSIDE = (-1, 0)
#: By opcode: one code unit, and those of its caches.
SIZES = bytes(1 + n_caches for n_caches in CACHES)
_ENDS_STUB = flags_of({RERAISE, *BACKWARD})


class RewrittenCode:
    """Rewritten *code* beside its *originals*, decoded once for both checks.

    - `raw`, `opcodes`: its code units, and the first byte of each.
    - `units`: the code unit of each original instruction.
    - `runs`: the runs of originals, see `_runs_of`.
    - `originals_by_landing`: for each part of the originals whose exceptions go to one place: the first original, the
      one behind the last, and the Landing.
    - `is_table_in_order`: whether the entries of the exception table are in order, and none overlaps another.
    """

    __slots__ = (
        *("_arrivals", "_entries", "_starts", "code", "is_table_in_order", "opcodes", "originals"),
        *("originals_by_landing", "raw", "runs", "units"),
    )

    def __init__(self, originals: Instructions, code: CodeType, units: Sequence[int]) -> None:
        self.originals = originals
        self.code = code
        self.raw = code.co_code
        self.opcodes = self.raw[::2]
        self.units = units[: len(originals)]
        self.runs = _runs_of(originals, self.units)
        self._arrivals: dict[int, int] | None = None
        self._entries = exception_table(code.co_exceptiontable)
        self._starts: tuple[int, ...]
        self._starts, stops, targets, _ = zip(*self._entries) if self._entries else ((), (), (), ())
        bounds = [*chain.from_iterable(zip(self._starts, stops)), len(self.opcodes)]
        self.is_table_in_order = (
            bounds == sorted(bounds) and all(map(lt, self._starts, stops)) and max(targets, default=-1) < bounds[-1]
        )
        self.originals_by_landing = self._split_by_landing()

    def _split_by_landing(self) -> list[tuple[int, int, Landing]]:
        """Return `originals_by_landing`."""
        units, n = self.units, len(self.units)
        parts = []
        end = 0
        for start, stop, target, depth_and_lasti in self._entries:
            first = bisect_left(units, start, end)
            if end < first:
                parts.append((end, first, _OUTSIDE))
            end = bisect_left(units, stop, first)
            if first < end:
                parts.append((first, end, (target, depth_and_lasti)))
            if end == n:
                return parts
        return [*parts, (end, n, _OUTSIDE)]

    def landing_at(self, unit: int) -> Landing:
        """Return where exceptions of the code unit *unit* go."""
        entry = bisect_right(self._starts, unit) - 1
        if entry < 0 or self._entries[entry][1] <= unit:
            return _OUTSIDE
        return self._entries[entry][2:]

    def argument_at(self, unit: int) -> int:
        """Return the argument of the instruction at *unit*, with the bits of its prefixes."""
        opcodes = self.opcodes
        start = unit
        while start and opcodes[start - 1] == EXTENDED_ARG:
            start -= 1
        return int.from_bytes(self.raw[2 * start + 1 : 2 * unit + 2 : 2], "big")

    def arrivals(self) -> dict[int, int]:
        """Return the code unit to which each jump of the originals leads; a reference counts as a jump."""
        if self._arrivals is None:
            raw, opcodes, units, steps = self.raw, self.opcodes, self.units, self.originals.steps
            self._arrivals = arrivals = {}
            for index in self.originals.jumps:
                if index not in steps:
                    unit = units[index]
                    op, argument = opcodes[unit], raw[2 * unit + 1]
                    if opcodes[unit - 1] == EXTENDED_ARG:
                        argument = self.argument_at(unit)
                    arrivals[index] = unit + SIZES[op] + (-argument if op in BACKWARD else argument)
        return self._arrivals

    def end_of(self, index: int) -> int:
        """Return the code unit behind the original *index*."""
        unit = self.units[index]
        return unit if index in self.originals.steps else unit + SIZES[self.opcodes[unit]]


def _runs_of(originals: Instructions, units: Sequence[int]) -> list[tuple[int, int]]:
    """Return the runs of *originals*, which stand at *units*: the first instruction, and the one behind the last.

    In a run the distance from the original code unit to the new one is the same, and the originals are consecutive. A
    jump back that takes no space is a run of its own.
    """
    cuts = changes_in(list(map(sub, units, originals.units)))
    if originals.source is not originals:
        cuts = sorted({*cuts, *starts_of_copies(originals), *originals.steps})
    return list(zip([0, *cuts], [*cuts, len(originals)]))


def difference(rewritten: RewrittenCode) -> str:
    """Return how *rewritten* differs from its originals where it must not, an empty string if it does not."""
    comparison = _Comparison(rewritten)
    return (
        comparison.wrong_place()
        or comparison.wrong_instruction()
        or wrong_field(rewritten.originals.code, rewritten.code)
        or comparison.wrong_position()
        or comparison.wrong_handler()
    )


def wrong_field(original: CodeType, rewritten: CodeType) -> str:
    """Return which constant, name or other field of *rewritten* is not that of *original*, or an empty string."""
    constants, names = original.co_consts, original.co_names
    same_constants = all(map(is_, rewritten.co_consts, constants)) or all(
        map(_is_same_constant, rewritten.co_consts, constants)
    )
    if not same_constants or rewritten.co_names[: len(names)] != names:
        return "constants or names differ"
    if _same_fields(rewritten) != _same_fields(original):
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
    """The original instructions beside the rewritten code."""

    def __init__(self, rewritten: RewrittenCode) -> None:
        self._rewritten = rewritten
        self._originals = rewritten.originals
        self._opcodes = rewritten.opcodes
        self._units = rewritten.units
        self._runs = rewritten.runs

    # Instructions
    # ##########################################################################################################

    def wrong_place(self) -> str:
        """Return whether the originals cannot stand at their units in this order, as a text; else an empty string."""
        originals, units, steps = self._originals, self._units, self._originals.steps
        if len(units) != len(originals) or units[0] != originals.units[0] or units[-1] >= len(self._opcodes):
            return "instructions differ"
        if originals.source is not originals and not (is_faithful(originals) and all(map(self._is_step, steps))):
            return "instructions differ"
        for first, _ in self._runs:
            if first and units[first] <= units[first - 1]:
                if first - 1 not in steps:
                    return "instructions differ"
                if units[first] < units[first - 1]:
                    return f"instruction {first - 1} does not go on"
        return ""

    def _is_step(self, index: int) -> bool:
        """Return whether the original *index* is a jump back that goes on to the next instruction."""
        originals = self._originals
        op = originals.ops[index]
        return op in BACKWARD and op in UNCONDITIONAL_JUMPS and originals.targets[index] == index + 1

    def wrong_instruction(self) -> str:
        """Return which original has another opcode or argument, or which jump leads elsewhere; or an empty string."""
        originals, units, opcodes = self._originals, self._units, self._opcodes
        original_units, starts = originals.units, originals.starts
        raw, original_raw = bytearray(self._rewritten.raw), bytearray(originals.code.co_code)
        if problem := self._wrong_jump(raw, original_raw):
            return problem
        for first, stop in self._runs:
            start, end = 2 * units[first], 2 * units[stop - 1] + 2
            original_start = 2 * original_units[first]
            if (
                raw[start:end] != original_raw[original_start : original_start + end - start]
                # The prefixes of the first instruction are not part of the run.
                or opcodes[units[first] - 1] == EXTENDED_ARG
                or original_units[first] != starts[first]
            ) and (problem := self._wrong_instruction_in(first, stop)):
                return problem
        return ""

    def _wrong_jump(self, raw: bytearray, original_raw: bytearray) -> str:
        """Return which jump has another opcode or leads elsewhere, or an empty string.

        A jump may arrive at its target, or at code above it that was added. It may also arrive behind all originals:
        `path_check` follows it from there. The bytes of jumps that may differ are made equal in *raw* and
        *original_raw*.
        """
        originals, units, opcodes = self._originals, self._units, self._opcodes
        ops, targets, starts, original_units = originals.ops, originals.targets, originals.starts, originals.units
        last = units[-1]
        for index, arrival in self._rewritten.arrivals().items():
            unit, original_unit, target = units[index], original_units[index], targets[index]
            op = opcodes[unit]
            if op != ops[index]:
                if ops[index] not in BACKWARD or op != FORWARD[ops[index]]:
                    return "instructions differ"
                raw[2 * unit] = original_raw[2 * original_unit]
            is_at_once = arrival == units[target] and opcodes[arrival - 1] != EXTENDED_ARG
            if not is_at_once and arrival <= last and op in JUMPS and not self._is_at(arrival, target):
                return f"the jump at instruction {index} goes elsewhere"
            raw[2 * unit + 1] = original_raw[2 * original_unit + 1] = 0
            if (start := starts[index]) != original_unit:
                n = original_unit - start
                raw[2 * (unit - n) : 2 * unit] = original_raw[2 * start : 2 * original_unit] = bytes(2 * n)
        return ""

    def _wrong_instruction_in(self, first: int, stop: int) -> str:
        """Return which of the originals from *first* up to *stop* has another opcode or argument; or an empty string.

        Jumps are not compared. A RESUME may have another argument, see `probes.argument_of_resume`.
        """
        originals, units = self._originals, self._units
        if first in originals.steps:
            return ""
        plain = [index for index in range(first, stop) if originals.targets[index] < 0]
        for index in plain:
            if self._opcodes[units[index]] != originals.ops[index]:
                return "instructions differ"
        for index in plain:
            argument, expected = self._rewritten.argument_at(units[index]), originals.args[index]
            if originals.ops[index] == RESUME and argument != expected:
                expected = probes.argument_of_resume(expected)
            if argument != expected:
                return f"the argument of instruction {index} differs"
        return ""

    # Positions
    # ##########################################################################################################

    def wrong_position(self) -> str:
        """Return whether positions or lines of an original differ, as a text; else an empty string."""
        originals, units = self._originals, self._units
        source = originals.source
        prefixes_have_lines = source.starts != source.units and source.lines != source.lines_of(
            source.code, source.units
        )
        if not prefixes_have_lines and self._has_same_entries():
            return ""
        positions = list(self._rewritten.code.co_positions())
        expected = list(originals.code.co_positions())
        lines = originals.lines_of(self._rewritten.code, list(units))
        for first, stop in self._runs:
            start, end, distance = units[first], units[stop - 1] + 1, units[first] - originals.units[first]
            is_same = positions[start:end] == expected[start - distance : end - distance]
            if first in originals.steps or (is_same and lines[first:stop] == originals.lines[first:stop]):
                continue
            for index in range(first, stop):
                unit, original_unit = units[index], originals.units[index]
                if positions[unit : unit + 1] != expected[original_unit : original_unit + 1]:
                    return "positions differ"
                if lines[index] != originals.lines[index]:
                    return "lines differ"
        return ""

    def _has_same_entries(self) -> bool:
        """Return whether the location tables are alike in all runs. If not, positions may still be the same.

        A tuple for each code unit, as `co_positions` makes it, takes three times as long.
        """
        originals, units, steps = self._originals, self._units, self._originals.steps
        original_units, original_lines = originals.units, originals.lines
        new, old = LocationEntries(self._rewritten.code.co_linetable), LocationEntries(originals.code.co_linetable)
        lines = list(self._rewritten.code.co_lines())
        ends_of_lines = [end for _, end, _ in lines]
        behind = 0
        try:
            for first, stop in self._runs:
                if first in steps:
                    continue
                unit = units[first]
                # The lines of all instructions follow from that of the first which has one.
                located = first
                while original_lines[located] is None and located < stop - 1:
                    located += 1
                line = lines[bisect_right(ends_of_lines, 2 * units[located])][2]
                if line != original_lines[located]:
                    return False
                behind = end_if_alike(new, behind, unit, old, original_units[first], units[stop - 1] - unit)
                if behind < 0:
                    return False
        except (IndexError, ValueError):  # an entry is missing or malformed
            return False
        return True

    # Exceptions
    # ##########################################################################################################

    def wrong_handler(self) -> str:
        """Return which instruction's exceptions do not arrive at its handler, or an empty string.

        Code may also rely on the order of the exception table; return a text if entries are out of order or overlap.
        """
        rewritten = self._rewritten
        if not rewritten.is_table_in_order:
            return "the exception table is out of order"
        originals, table = self._originals, self._originals.table
        first_by_route: dict[tuple[int, Landing], int] = {}
        for first, stop, landing in rewritten.originals_by_landing:
            for number in self._handlers_in(first, stop) if table else (-1,):
                first_by_route.setdefault((number, landing), first)
            if CALLERS_ARE_LEFT_ABOVE:
                self._add_route_above(first, first_by_route)
        if CALLERS_ARE_LEFT_ABOVE and originals.source is not originals:
            for first, _ in self._runs:
                self._add_route_above(first, first_by_route)
        for (number, landing), index in first_by_route.items():
            if not self._arrives(table[number] if number >= 0 else None, landing):
                return f"the handler of instruction {index} is another"
        return ""

    def _handlers_in(self, first: int, stop: int) -> set[int]:
        """Return the handlers of the originals from *first* up to *stop* that take space."""
        handlers, steps = self._originals.handlers, self._originals.steps
        if not steps:
            return set(handlers[first:stop])
        return {handlers[index] for index in range(first, stop) if index not in steps}

    def _add_route_above(self, index: int, first_by_route: dict[tuple[int, Landing], int]) -> None:
        """Add the handler that exceptions of *index* may be led to by the code unit above, see `is_left_above`.

        Within a landing that is the handler of the instruction above, which is added anyway.
        """
        originals, unit = self._originals, self._units[index]
        is_led_above = index and index not in originals.steps and is_left_above(originals.ops[index])
        if is_led_above and self._opcodes[unit - 1] != EXTENDED_ARG:
            route = originals.handlers[originals.above(index)], self._rewritten.landing_at(unit - 1)
            first_by_route.setdefault(route, index)

    def _arrives(self, handler: Handler | None, landing: Landing) -> bool:
        """Return whether exceptions that go to *landing* arrive at *handler*, None for outside, as they should."""
        target, depth_and_lasti = landing
        if target < 0:
            return handler is None
        if handler is not None and self._is_at(target, handler.target):
            return depth_and_lasti == _depth_and_lasti(handler)
        return self._arrives_by_stub(handler, landing)

    def _arrives_by_stub(self, handler: Handler | None, landing: Landing) -> bool:
        """Return whether the stub at *landing* leads to *handler*.

        A stub stands behind all originals, and may want lasti where the handler does not. Then it must drop lasti.
        """
        target, depth_and_lasti = landing
        expected = _depth_and_lasti(handler)
        opcodes = self._opcodes
        end = opcodes.translate(_ENDS_STUB).find(1, target)  # inline caches are zero
        if target <= self._units[-1] or depth_and_lasti not in (expected, expected | 1) or end < 0:
            return False
        drops_lasti = SWAP in opcodes[target:end]  # only code that drops lasti swaps it with the exception
        op, argument = opcodes[end], self._rewritten.argument_at(end)
        if op == RERAISE:
            if argument != 1 or not depth_and_lasti & 1:
                return False
            next_target, next_depth_and_lasti = self._rewritten.landing_at(end)
            if handler is None:
                return next_target < 0
            return self._is_at(next_target, handler.target) and next_depth_and_lasti == expected
        if handler is None or drops_lasti != (depth_and_lasti != expected):
            return False
        return self._is_at(end + 1 + CACHES[op] - argument, handler.target)

    def _is_at(self, unit: int, target: int) -> bool:
        """Return whether *unit* is that of the original *target*, or lies between this and the original above it.

        Control that arrived behind a prefix would take the instruction for another.
        """
        steps, units, opcodes = self._originals.steps, self._units, self._opcodes
        above = target - 1
        while above in steps:
            above -= 1
        end = units[above] + 1 + CACHES[opcodes[units[above]]] if above >= 0 else 0
        return end <= unit <= units[target] and (not unit or opcodes[unit - 1] != EXTENDED_ARG)


def _depth_and_lasti(handler: Handler | None) -> int:
    """Return the depth * 2 + push_lasti that *handler* wants; a stub whose exceptions go outside wants lasti."""
    return 1 if handler is None else handler.depth << 1 | handler.push_lasti
