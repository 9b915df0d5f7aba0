"""Rewrites straight code: code of one block, without jumps and handlers.

A graph and its Plan come in; an `Unlinked` goes out, the same as from `rewrite.rewriter` without this short way. Such
code gets one probe behind its RESUME, and exit stubs behind all its instructions. So the code, the exception table and
the location table are each the original's, cut at one place.

Problem: half of all code objects are so, and most are small. They have no use for labels, distances and pieces.
Solution: a short way without these. [3.12: a third of the time of the long way]
"""

from __future__ import annotations

from _operator import ne
from itertools import compress, pairwise

from instrument.decode.locations import LONG, NO_COLUMNS, ONE_LINE
from instrument.decode.versions import PAIRS_MISATTRIBUTE_RAISES
from instrument.flow.derived.code_facts import facts_of
from instrument.flow.graph import EdgeKind
from instrument.flow.misattributed_raises import loads_to_separate
from instrument.flow.placement_names import MINIMAL
from instrument.flow.plan import ProbePosition
from instrument.guest.process_state import cleared_on_reset
from instrument.rewrite import probes
from instrument.rewrite.stubs import StubNames
from instrument.rewrite.tables import LONGEST, encode_exception_table, entries_without_location
from instrument.rewrite.unlinked import Unlinked, layout_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.flow.graph import ControlFlowGraph
    from instrument.flow.plan import Plan
    from instrument.rewrite.unlinked import ConstantLayout

    #: One entry of an exception table: first code unit, unit behind the last, unit of the handler, 2 * depth + lasti.
    ExceptionEntry = tuple[int, int, int, int]

#: Where the exceptions of an instruction go, if not to the stub of the probe with this number.
_TO_RECORD, _OUT = -1, -2
_RERAISE, _POP = probes.reraise(), probes.pop()
#: The depth of a stub: nothing of the frame's stack, and lasti is pushed. And that of a fallback: lasti, exception.
_OF_STUB, _OF_FALLBACK = 1, 2 << 1
#: By first byte of a location entry: the number of its code units; zero for other bytes.
_N_UNITS = bytes((byte & 7) + 1 if byte > 127 else 0 for byte in range(256))
#: First bytes of location entries for one unit (CPython: Objects/locations.md). The first three are for one line: the
#: line of the entry above, the next one, or the one behind that.
_ON_ONE_LINE = _SAME_LINE, _, _ = tuple(128 | kind << 3 for kind in range(ONE_LINE, NO_COLUMNS))
_WITH_NUMBER = tuple(128 | kind << 3 for kind in (NO_COLUMNS, LONG))
#: The stubs that record exits, by the numbers that they contain: stub, units of its record, units of its fallback.
_record_stubs: dict[tuple[int, int, int], tuple[bytes, int, int]] = cleared_on_reset({})
_MOST_STUBS = 500


def is_straight(graph: ControlFlowGraph, plan: Plan) -> bool:
    """Return whether the code of *graph* is straight, and *plan* adds nothing but one probe above it and exit stubs."""
    instructions = graph.instructions
    if graph.outside != 1 or instructions.jumps or instructions.table or plan.placement != MINIMAL:
        return False
    (block,) = graph.blocks
    first = instructions.first + 1
    probe = plan.probes[0] if plan.probes else None
    return (
        (block.first, block.last, block.head) == (first, len(instructions) - 1, first)
        and len(graph.edges) == 2
        and probe is not None
        and (probe.position, probe.index) == (ProbePosition.FALLING, first)
        and instructions.starts[first] == instructions.units[first]
        and not (plan.inlinable or plan.exec_calls)
        and all(probe.position == ProbePosition.EXITING for probe in plan.probes[1:])
        and not (PAIRS_MISATTRIBUTE_RAISES and loads_to_separate(graph))
    )


def rewritten(graph: ControlFlowGraph, plan: Plan) -> Unlinked | None:
    """Return the `Unlinked` of *graph* and *plan*, not yet verified; None if the code must take the long way."""
    if not is_straight(graph, plan):
        return None
    instructions = graph.instructions
    code = instructions.code
    layout = layout_of(code, plan)
    raw, first = code.co_code, instructions.first + 1
    cut, probe = instructions.units[first], probes.probe(layout.first_counter)
    width, n_units = len(probe) >> 1, len(raw) >> 1
    names = StubNames(code)
    routes = _routes(graph, plan)
    stubs, entries_of_stubs, targets = _stubs(routes, layout, names, n_units + width)
    locations = _locations(code.co_linetable, n_units, cut, width, len(stubs) >> 1)
    if locations is None:
        return None
    entries = _entries_of_routes(routes, instructions.starts, n_units, first, width, targets)
    rewritten = code.replace(
        co_code=b"".join((raw[: 2 * cut], probe, raw[2 * cut :], stubs)),
        co_consts=(*code.co_consts, *[None] * (layout.n_constants - len(code.co_consts))),
        co_names=tuple(names.names),
        co_stacksize=max(code.co_stacksize, 2) + probes.STACK_OF_PROBE,
        co_linetable=locations,
        co_exceptiontable=encode_exception_table(entries + entries_of_stubs),
    )
    units = instructions.units[:first]
    units += map(width.__add__, instructions.units[first:])
    unfired = [cut, *[0] * (len(plan.probes) - 1)]
    return Unlinked(rewritten, plan, len(units), units, (), unfired, facts_of(instructions))


def _routes(graph: ControlFlowGraph, plan: Plan) -> list[int]:
    """Return where the exceptions of each instruction go: the number of an EXITING probe, or a constant from above."""
    instructions = graph.instructions
    routes = [_TO_RECORD] * len(instructions)
    for index, number in plan.stubs.items():
        routes[index] = number
    if graph.edges[1].kind == EdgeKind.RAISE:
        routes[-1] = _OUT
    start = instructions.throwable_from
    routes[:start] = [_OUT] * start
    return routes


def _stubs(
    routes: list[int], layout: ConstantLayout, names: StubNames, start: int
) -> tuple[bytes, list[ExceptionEntry], dict[int, int]]:
    """Return the exit stubs of *routes*, their entries of the exception table, and the code unit of each route's stub.

    The first stub begins at the code unit *start*.
    """
    code = b""
    entries: list[ExceptionEntry] = []
    targets = {_OUT: -1}
    for route in dict.fromkeys(routes):
        if route == _OUT:
            continue
        targets[route] = unit = start + (len(code) >> 1)
        if route != _TO_RECORD:
            code += probes.probe(layout.first_counter + route) + _RERAISE
            continue
        stub, n_counting, n_late = _record_stub(layout, names)
        code += stub
        fallback = unit + n_counting + len(_RERAISE) // 2
        entries.append((unit, unit + n_counting, fallback, _OF_FALLBACK))
        entries.append((fallback, fallback + n_late, fallback + n_late, _OF_FALLBACK))
    return code, entries, targets


def _record_stub(layout: ConstantLayout, names: StubNames) -> tuple[bytes, int, int]:
    """Return the stub that records an exit, the code units of its record, and those of its fallback (rewrite.stubs)."""
    key = layout.first_exit, names.traceback, names.tb_lasti
    stub = _record_stubs.get(key)
    if stub is None:
        base = layout.first_exit
        counting = probes.record_exit(
            *(layout.exit_records, base, layout.traceback_of, names.tb_lasti, layout.range_of_counts)
        )
        late = probes.record_exit_late(layout.late_exits, base, names.traceback, names.tb_lasti)
        fallback = late + _POP
        code = counting + _RERAISE + fallback + probes.jump_back((len(_RERAISE) + len(fallback)) // 2)
        if len(_record_stubs) > _MOST_STUBS:
            _record_stubs.clear()
        stub = _record_stubs[key] = code, len(counting) // 2, len(late) // 2
    return stub


def _entries_of_routes(
    routes: list[int], starts: list[int], n_units: int, first: int, width: int, targets: dict[int, int]
) -> list[ExceptionEntry]:
    """Return the entries of the exception table for instructions with *routes*, which begin at the units *starts*.

    A probe of *width* units stands above the instruction *first*. Its exceptions are recorded.
    """
    changes = [*compress(range(1, len(routes)), map(ne, routes, routes[1:]))]
    segments = [(starts[index], routes[index]) for index in (0, *changes) if index < first]
    segments.append((starts[first], _TO_RECORD))
    segments += [(starts[index] + width, routes[index]) for index in (first, *[n for n in changes if n > first])]
    segments.append((n_units + width, _OUT))
    entries: list[ExceptionEntry] = []
    for (start, route), (end, _) in pairwise(segments):
        if start == end or route == _OUT:
            continue
        target = targets[route]
        if entries and entries[-1][1:3] == (start, target):
            start = entries.pop()[0]
        entries.append((start, end, target, _OF_STUB))
    return entries


def _locations(table: bytes, n_units: int, cut: int, width: int, n_behind: int) -> bytes | None:
    """Return the location *table* with *width* units more above the unit *cut*, which have the location of *cut*.

    At the end come *n_behind* units without location. Return None if the entries are not those of *n_units* units.
    """
    sizes = table.translate(_N_UNITS)
    if sum(sizes) != n_units or not sizes[0]:
        return None
    unit = start = 0
    while unit + sizes[start] <= cut:
        unit += sizes[start]
        start = _next_entry(sizes, start)
    end = _next_entry(sizes, start)
    first, body, n = table[start] & ~7, table[start + 1 : end], sizes[start] + width
    written = bytearray(table[:start])
    while n > 0:
        written.append(first | (n if n < LONGEST else LONGEST) - 1)
        written += body
        first, body = _on_same_line(first, body)
        n -= LONGEST
    written += table[end:]
    written += entries_without_location(n_behind)
    return bytes(written)


def _next_entry(sizes: bytes, start: int) -> int:
    """Return where the entry behind that at *start* begins."""
    start += 1
    while start < len(sizes) and not sizes[start]:
        start += 1
    return start


def _on_same_line(first: int, body: bytes) -> tuple[int, bytes]:
    """Return the first byte, for one unit, and the *body* of a location entry on the line of the entry above it.

    The other entry has the first byte *first*, and the same columns.
    """
    if first in _ON_ONE_LINE:
        return _SAME_LINE, body
    if first in _WITH_NUMBER:  # the difference of lines comes first, in groups of six bits
        end = 0
        while body[end] & 64:
            end += 1
        return first, b"\0" + body[end + 1 :]
    return first, body
