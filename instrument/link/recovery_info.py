"""Keep infos about rewritten code in packed form, and recover the counts of a code object by them.

Plans and positions of instructions come in when code is rewritten, and are packed. Readings of counters, exits and
frames in flight come in later, and the counts of a code object go out. Most code objects are never recovered by the
full information, so that stays packed: unpacked, it would take many times the memory of the counters.
"""

from __future__ import annotations

from _bisect import bisect_left, bisect_right
from itertools import accumulate
from marshal import loads

from instrument.decode.versions import INLINED_CALL_LOSES_LINE
from instrument.flow.fast_recovery import recover_fast
from instrument.flow.packing import PackedLineEffects, PackedPlans, Table, pack_line_effects, pack_lists, pack_plans
from instrument.flow.placement_names import MINIMAL
from instrument.guest.own_imports import errors
from instrument.model.plain_values import to_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import CodeType
    from typing import Any

    from instrument.flow.conservation import Observation
    from instrument.flow.derived.code_facts import CodeFacts, PackedCodeFacts
    from instrument.flow.plan import LineEffects, Plan
    from instrument.model.counts import Counts
    from instrument.rewrite.unlinked import Unlinked

    #: The infos of several code objects: those for the fast path, those for recovery, and their CodeFacts. Each is a
    #: packed tuple, compressed if it is long. _FastPathPart, _RecoveryPart and PackedCodeFacts unpack them. The
    #: CodeFacts are empty if no reader derives anything from this code.
    PackedParts = tuple[bytes, bytes, bytes]

#: Data of fewer bytes are not compressed: initialising zlib takes longer than that saves.
_SHORT = 1_000


class RecoveryInfo:
    """Everything that recovery needs of one code object: its *plan*, and the positions of its instructions.

    - `units`: the code units of the `n_instructions` original instructions, ascending, then of each added jump.
    - `places`: for each of these jumps, its place in the Plan, as `place_at` returns it.
    - `unfired`: maps a code unit at which a trace function may raise before a probe counts to the number of the probe.
    - `loses_lines`: whether calls that the interpreter of the code inlined lose their line.
    """

    __slots__ = ("loses_lines", "n_instructions", "name", "places", "plan", "unfired", "units")

    def __init__(
        self,
        plan: Plan,
        units: Sequence[int],
        places: Sequence[int],
        unfired: Sequence[int],
        name: str,
        loses_lines: bool = INLINED_CALL_LOSES_LINE,
    ) -> None:
        """*unfired* has the code unit of each probe, or 0."""
        self.plan = plan
        self.units = units
        self.places = places
        self.unfired = {unit: number for number, unit in enumerate(unfired) if unit}
        self.n_instructions = len(units) - len(places)
        self.name = name
        self.loses_lines = loses_lines

    def place_at(self, unit: int) -> tuple[int, bool]:
        """Return the place that code unit *unit* has in the Plan, and whether the line of that place is lost.

        A place is the index of an original instruction. Behind these come the places of probes that have
        counted, and then the places of probes that have not.
        """
        if unit in self.unfired:
            return self.n_instructions + len(self.plan.probes) + self.unfired[unit], False
        units = self.units
        number = bisect_right(units, unit) - 1
        if number < 0:
            return 0, False
        n = self.n_instructions
        return number if number < n else self.places[number - n], self.loses_lines and unit != units[number]

    def observe(
        self, counters: Sequence[int], exits: dict[tuple[int, int], int], in_flight: dict[int, int]
    ) -> Observation:
        """Return the Observation of *counters*, *exits* by (record, code unit), frames *in_flight* by code unit."""
        from instrument.flow.conservation import Observation

        place_at = self.place_at
        exits_by_place: list[dict[tuple[int, bool], int]] = [{} for _ in self.plan.exits]
        for (record, unit), count in exits.items():
            place = place_at(unit)
            exits_by_place[record][place] = exits_by_place[record].get(place, 0) + count
        frames_by_place: dict[tuple[int, bool], int] = {}
        for unit, count in in_flight.items():
            place = place_at(unit)
            frames_by_place[place] = frames_by_place.get(place, 0) + count
        return Observation(counters, exits_by_place, frames_by_place, self.n_instructions)


class FastPathInfo:
    """The info that `recover_fast` needs of one code object, and the names of the code object.

    This info suffices for a code object without exits and frames in flight.
    """

    __slots__ = ("file_name", "line_effects", "name")

    def __init__(self, file_name: str, name: str, line_effects: LineEffects) -> None:
        self.file_name = file_name
        self.name = name
        self.line_effects = line_effects


class _FastPathPart:
    """The infos for the fast path of the code objects that were packed together.

    - `refused`: the indices of the code objects that were refused, ascending. The others have numbers from 0 on.
    - `names`: the qualified name of each, by number.
    - `other_files`: the file name of each, by number, if it is not that of the outermost code object.
    - `line_effects`: the LineEffects of each, packed.
    """

    __slots__ = ("line_effects", "names", "other_files", "refused")

    def __init__(self, unpacked: tuple[Any, ...]) -> None:
        self.refused, self.names, self.other_files, *line_effects = unpacked
        self.line_effects = PackedLineEffects(tuple(line_effects))


class _RecoveryPart:
    """The infos for recovery of the code objects that were packed together."""

    __slots__ = ("_loses_lines", "_places", "_plans", "_unfired", "_units")

    def __init__(self, unpacked: tuple[Any, ...], loses_lines: bool) -> None:
        plans, units, places, unfired = unpacked
        self._loses_lines = loses_lines
        self._plans = PackedPlans(plans)
        self._units, self._places, self._unfired = Table(units), Table(places), Table(unfired)

    def info(self, number: int, name: str) -> RecoveryInfo:
        """Return the RecoveryInfo of the code object *number*, which has this *name*."""
        units, places, unfired = (table.numbers(number) for table in (self._units, self._places, self._unfired))
        return RecoveryInfo(self._plans.plan(number), units, places, unfired, name, self._loses_lines)


def _unpacked_here(part: bytes) -> Any:
    """Return the content of a packed *part*, which this process or the cache has packed."""
    return loads(decompressed(part))


class PackedInfos:
    """The infos of the code objects of one code group, unpacked part by part when one of them is needed.

    *packed* has the infos of each part, and *sizes* the number of code objects in each part. *file_name* is the source
    file of the group. *exit_at* maps a key and a number of exit records to the exit: `CodeGroup.exit_at`.
    """

    def __init__(
        self,
        file_name: str,
        exit_at: Callable[[int, int], tuple[int, int]],
        packed: Sequence[PackedParts],
        sizes: Iterable[int],
    ) -> None:
        self._unpack: Callable[[bytes], Any] = _unpacked_here
        self._loses_lines = INLINED_CALL_LOSES_LINE
        self._file_name = file_name
        self._exit_at = exit_at
        self._packed = packed
        self._starts = list(accumulate(sizes, initial=0))
        self._fast_path_parts: dict[int, _FastPathPart] = {}
        self._recovery_parts: dict[int, _RecoveryPart] = {}
        self._facts: dict[int, PackedCodeFacts] = {}

    def read_as(self, unpack: Callable[[bytes], Any], loses_lines: bool) -> None:
        """Take packed parts apart by *unpack* from now on; *loses_lines* is as in RecoveryInfo.

        For infos that another interpreter has packed.
        """
        self._unpack, self._loses_lines = unpack, loses_lines

    def _part_at(self, index: int) -> tuple[_FastPathPart, int, int]:
        """Return the infos of the part that the code object *index* is in, the number of this part, and its start."""
        number = bisect_right(self._starts, index) - 1
        part = self._fast_path_parts.get(number)
        if part is None:
            packed = self._packed[number][0]
            part = self._fast_path_parts[number] = _FastPathPart(self._unpack(packed))
        return part, number, self._starts[number]

    def was_refused(self, index: int) -> bool:
        """Return whether the code object *index* could not be rewritten, and so has no infos."""
        part, _, start = self._part_at(index)
        return index - start in part.refused

    def fast_path_info(self, index: int) -> FastPathInfo:
        """Return the FastPathInfo of the code object *index*."""
        part, _, start = self._part_at(index)
        number = index - start
        if part.refused:
            number -= bisect_left(part.refused, number)
        file_name = part.other_files.get(number, self._file_name) if part.other_files else self._file_name
        return FastPathInfo(file_name, part.names[number], part.line_effects.effects(number))

    def recovery_info(self, index: int) -> RecoveryInfo:
        """Return the RecoveryInfo of the code object *index*."""
        part, part_number, start = self._part_at(index)
        number = index - start - bisect_left(part.refused, index - start)
        if part_number not in self._recovery_parts:
            packed = self._packed[part_number][1]
            self._recovery_parts[part_number] = _RecoveryPart(self._unpack(packed), self._loses_lines)
        return self._recovery_parts[part_number].info(number, part.names[number])

    def facts(self, index: int) -> CodeFacts:
        """Return the CodeFacts of the code object *index*."""
        part, part_number, start = self._part_at(index)
        if part_number not in self._facts:
            from instrument.flow.derived.code_facts import PackedCodeFacts

            packed = self._packed[part_number][2]
            self._facts[part_number] = PackedCodeFacts(self._unpack(packed))
        return self._facts[part_number].facts(index - start - bisect_left(part.refused, index - start))

    def recover(
        self,
        index: int,
        fast_path_info: FastPathInfo,
        fired: Sequence[int],
        exits: Sequence[tuple[int, int]],
        in_flight: dict[int, int],
    ) -> Counts:
        """Return the counts of the code object *index*; raise ConservationError if the readings contradict each other.

        *fired* says how often each probe counted, *exits* how often each exit was taken, as pairs (key, count), and
        *in_flight* how many frames are at each code unit.
        """
        if not exits and not in_flight:
            counts = recover_fast(fast_path_info.line_effects, fired)
            if counts is not None:
                return counts
        from instrument.flow import conservation

        recovery_info = self.recovery_info(index)
        n_records = len(recovery_info.plan.exits)
        exits_by_unit: dict[tuple[int, int], int] = {}
        for key, n in exits:
            exits_by_unit[self._exit_at(key, n_records)] = n
        try:
            return conservation.recover(recovery_info.plan, recovery_info.observe(fired, exits_by_unit, in_flight))
        except errors.ConservationError as error:
            error.name_code(fast_path_info.name, fast_path_info.file_name)
            raise


def packed_parts(tree: Sequence[tuple[CodeType, Unlinked | str]]) -> PackedParts:
    """Return the packed infos of *tree*: code objects, each with its Unlinked, or with the reason of a refusal.

    The file name of the outermost code object, the last one, is left out: the same text in another file has the same
    infos.
    """
    file_name = tree[-1][0].co_filename
    rewritten = [(code, unlinked) for code, unlinked in tree if not isinstance(unlinked, str)]
    refused = [index for index, (_, unlinked) in enumerate(tree) if isinstance(unlinked, str)]
    other_files = {
        number: code.co_filename for number, (code, _) in enumerate(rewritten) if code.co_filename != file_name
    }
    plans = [unlinked.plan for _, unlinked in rewritten]
    fast_path_infos = refused, [code.co_qualname for code, _ in rewritten], other_files, *pack_line_effects(plans)
    recovery_infos = (
        pack_plans(plans),
        pack_lists([unlinked.units for _, unlinked in rewritten]),
        pack_lists([unlinked.added_jumps for _, unlinked in rewritten]),
        pack_lists([unlinked.unfired for _, unlinked in rewritten], are_close=False),
    )
    facts: tuple[object, ...] = ()
    if plans and plans[0].placement == MINIMAL:  # readers derive flows from this placement only
        from instrument.flow.derived.code_facts import pack_code_facts

        facts = pack_code_facts([unlinked.facts for _, unlinked in rewritten])
    return compressed(to_bytes(fast_path_infos)), compressed(to_bytes(recovery_infos)), compressed(to_bytes(facts))


def compressed(values: bytes) -> bytes:
    """Return the packed *values*, compressed if they are long and this interpreter has zlib."""
    if len(values) <= _SHORT:
        return values
    try:
        from zlib import compress
    except ImportError:
        return values
    return compress(values, 1)


def decompressed(data: bytes) -> bytes:
    """Return the packed tuple that `compressed` returned *data* for."""
    if not data.startswith(b"x"):  # compressed data begin with it (RFC 1950), and a packed tuple never does
        return data
    from zlib import decompress

    return decompress(data)
