"""GroupPlans: the content of a plan file as a reader uses it, under any Python, without trust in it.

The bytes of a plan file come in, and the ProbeCounts of any process that ran the code. Counts of lines and functions go
out, observations of code objects, and flow counts.
"""

from __future__ import annotations

import contextlib
import sys
from _bisect import bisect_right

from instrument.errors import DataError, InstrumentError
from instrument.flow.conservation import recover_flows
from instrument.flow.derived.derivation import add_flow, instructions_by_line
from instrument.flow.derived.shape import CodeShape, Taken
from instrument.link.code_group import CodeGroup, GroupIndex
from instrument.model.flow_counts import FlowCounts
from instrument.model.plain_parser import from_bytes
from instrument.model.probe_counts import decoded, numbers_in
from instrument.plans.plan_file import LARGEST, LAYOUT, MAGIC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from instrument.flow.conservation import Flows, Observation
    from instrument.flow.derived.shape import Position
    from instrument.link.recovery_info import FastPathInfo, PackedInfos, RecoveryInfo
    from instrument.model.counts import Counts
    from instrument.model.probe_counts import ProbeCounts

#: Frames in flight are at so many places at most.
_MOST_PLACES = 1 << 16


@contextlib.contextmanager
def _damage_named() -> Iterator[None]:
    """Raise any error as a DataError: a plan that a process has written raises only errors of this package."""
    try:
        yield
    except InstrumentError:
        raise
    except Exception as error:
        raise DataError(f"its plan is damaged: {type(error).__name__}: {error}") from error


class GroupPlans:
    """The plans in a plan file with this *content*. Raise DataError if the content is damaged.

    `n_counters` is the number of counters of the group. Every method raises DataError if it meets damage.
    """

    def __init__(self, content: bytes) -> None:
        if not content.startswith(MAGIC):
            raise DataError("it is no plan file of instrument")
        with _damage_named():
            layout, *facts = from_bytes(content[len(MAGIC) :])
            if layout != LAYOUT:
                raise DataError(f"it is in layout {layout}, and this version of instrument reads layout {LAYOUT} only")
            byte_order, self._loses_lines, first_lines, starts, keys, sizes, packed = facts
            if byte_order != sys.byteorder:
                raise DataError(f"it is of a machine with another byte order ({byte_order} endian)")
            self._group = CodeGroup(0, None, GroupIndex("", first_lines, starts, keys), *packed, sizes=sizes)
            self.n_counters = self._group.starts[-1]
            self._n_positions = self._group.keys()[-1]
        self._infos: PackedInfos | None = None
        self._shapes: dict[int, tuple[RecoveryInfo, CodeShape]] = {}

    def counts_in(self, encoded: bytes) -> ProbeCounts:
        """Return the ProbeCounts *encoded*; raise DataError if they cannot be those of this group.

        Their numbers are compared before any of them is read: they may be forged.
        """
        try:
            n_counters, n_exits, n_places = numbers_in(encoded)
            if n_counters != self.n_counters:
                raise DataError(f"its code has {self.n_counters} counters, and the counts {n_counters}")
            if n_exits > self._n_positions or n_places > _MOST_PLACES:
                raise DataError("its counts have more places than its code")
            return decoded(encoded)
        except ValueError as error:
            raise DataError(f"it is damaged: {error}") from error

    def counts_in_code(self, code: int, encoded: bytes) -> ProbeCounts:
        """Return the ProbeCounts *encoded*; raise DataError if they cannot be those of the code object *code* alone."""
        starts, keys = self._group.starts, self._group.keys()
        if not 0 <= code < len(self._group):
            raise DataError(f"its plan has no code object {code}")
        try:
            n_counters, n_exits, n_places = numbers_in(encoded)
            if n_counters != starts[code + 1] - starts[code] or n_exits > keys[-1] or n_places > _MOST_PLACES:
                raise DataError("a pattern has other probes than its code")
            counts = decoded(encoded)
        except ValueError as error:
            raise DataError(f"it is damaged: {error}") from error
        has_other_exit = any(not keys[code] <= position < keys[code + 1] for position in counts.exits)
        if has_other_exit or any(index != code for index, _ in counts.in_flight):
            raise DataError("a pattern has work of other code")
        return counts

    def counts_of_code(self, code: int, probes: ProbeCounts) -> tuple[str, int, Counts]:
        """Return qualified name, first line and Counts of the code object *code* alone, which *probes* are of.

        Raise ConservationError if *probes* contradict each other.
        """
        with _damage_named():
            info = self._fast_path_info(code)
            counts = self._unpacked().recover(code, info, *_parts_of_code(probes))
            return info.name, self._group.first_line(code), counts

    def add_flow_of_code(self, counts: FlowCounts, code: int, probes: ProbeCounts) -> None:
        """Add to *counts* how control went through the code object *code* alone, which *probes* are of.

        Raise ConservationError if *probes* contradict each other.
        """
        with _damage_named():
            info = self.recovery_info(code)
            flows = self._flows_of_code(info, probes)
            function = self._fast_path_info(code).name, self._group.first_line(code)
            add_flow(counts, function, self._unpacked().facts(code), info.plan, flows)

    def functions(self) -> Iterator[tuple[int, str, int]]:
        """Yield number, qualified name and first line of each code object that was rewritten."""
        with _damage_named():
            for index in range(len(self._group)):
                if not self._unpacked().was_refused(index):
                    yield index, self._fast_path_info(index).name, self._group.first_line(index)

    def counts(self, probes: ProbeCounts) -> Iterator[tuple[str, int, Counts]]:
        """Yield qualified name, first line and Counts of each code object for which *probes* have anything.

        Raise ConservationError if *probes* contradict each other.
        """
        with _damage_named():
            for index, fired, exits, in_flight in self._by_code(probes):
                info = self._fast_path_info(index)
                counts = self._unpacked().recover(index, info, fired, [*exits.items()], in_flight)
                if counts:
                    yield info.name, self._group.first_line(index), counts

    def observations(self, probes: ProbeCounts) -> Iterator[tuple[int, RecoveryInfo, Observation]]:
        """Yield number, RecoveryInfo and Observation of each code object for which *probes* have anything."""
        with _damage_named():
            for index, fired, exits, in_flight in self._by_code(probes):
                info = self.recovery_info(index)
                n_records = len(info.plan.exits)
                by_unit = {self._group.exit_at(position, n_records): n for position, n in exits.items()}
                yield index, info, info.observe(fired, by_unit, in_flight)

    def add_flow(self, counts: FlowCounts, probes: ProbeCounts) -> None:
        """Add to *counts* how control went through all code of the group, by *probes*; zeros for code that never ran.

        Raise ConservationError if *probes* contradict each other.
        """
        with _damage_named():
            seen = {index: observation for index, _, observation in self.observations(probes)}
            for index, name, line in self.functions():
                plan = self.recovery_info(index).plan
                flows = recover_flows(plan, seen[index]) if index in seen else None
                add_flow(counts, (name, line), self._unpacked().facts(index), plan, flows)

    def flows_by_code(self, probes: ProbeCounts) -> Iterator[tuple[int, FlowCounts]]:
        """Yield number and FlowCounts of each code object for which *probes* have anything.

        Raise ConservationError if *probes* contradict each other.
        """
        with _damage_named():
            for index, info, observation in self.observations(probes):
                function = self._fast_path_info(index).name, self._group.first_line(index)
                flow, flows = FlowCounts(), recover_flows(info.plan, observation)
                add_flow(flow, function, self._unpacked().facts(index), info.plan, flows)
                yield index, flow

    def instruction_places(self, index: int) -> Iterator[tuple[int, Position]]:
        """Yield class and position of each instruction of the code object *index* that has a line, in order.

        Classes are those of InstructionClass.
        """
        with _damage_named():
            _, shape = self._shape(index)
            yield from ((class_, place) for class_, place in zip(shape.facts.classes, shape.positions) if place)

    def instructions_of_code(self, code: int, probes: ProbeCounts) -> dict[int, int]:
        """Return how many instructions of each line the code object *code* alone executed, which *probes* are of.

        This takes a fraction of the time of `add_flow_of_code`. Raise ConservationError if *probes* contradict each
        other.
        """
        with _damage_named():
            info, shape = self._shape(code)
            return instructions_by_line(shape, Taken(shape, self._flows_of_code(info, probes)))

    def _shape(self, index: int) -> tuple[RecoveryInfo, CodeShape]:
        """Return RecoveryInfo and CodeShape of the code object *index*, which are kept for the next call."""
        if index not in self._shapes:
            info = self.recovery_info(index)
            self._shapes[index] = info, CodeShape(self._unpacked().facts(index), info.plan)
        return self._shapes[index]

    def _flows_of_code(self, info: RecoveryInfo, probes: ProbeCounts) -> Flows:
        """Return the flow over each edge of the code object of *info*, which *probes* are of."""
        fired, exits, in_flight = _parts_of_code(probes)
        by_unit = {self._group.exit_at(position, len(info.plan.exits)): n for position, n in exits}
        return recover_flows(info.plan, info.observe(fired, by_unit, in_flight))

    def recovery_info(self, index: int) -> RecoveryInfo:
        """Return the RecoveryInfo of the code object *index*."""
        return self._unpacked().recovery_info(index)

    def _by_code(self, probes: ProbeCounts) -> Iterator[tuple[int, list[int], Mapping[int, int], dict[int, int]]]:
        """Yield the number of each code object for which *probes* have anything, and its part of these.

        The part has the counts of its probes, of exits by position, and of frames by code unit.
        """
        group, starts = self._group, self._group.starts
        if len(probes.fired) != self.n_counters:
            raise DataError(f"its code has {self.n_counters} counters, and the counts {len(probes.fired)}")
        exits: dict[int, dict[int, int]] = {}
        for position, n in probes.exits.items():
            exits.setdefault(group.code_at(position), {})[position] = n
        in_flight: dict[int, dict[int, int]] = {}
        for (index, unit), n in probes.in_flight.items():
            in_flight.setdefault(index, {})[unit] = n
        has_others = exits.keys() | in_flight.keys()
        if has_others and not 0 <= min(has_others) <= max(has_others) < len(group):
            raise DataError("it lacks code that has counts")
        for index in sorted(self._with_counts(probes) | has_others):
            fired = probes.fired[starts[index] : starts[index + 1]].tolist()
            yield index, fired, exits.get(index, {}), in_flight.get(index, {})

    def _with_counts(self, probes: ProbeCounts) -> set[int]:
        """Return the numbers of the code objects with probes that fired."""
        starts = self._group.starts.tolist()
        fired = [number for number, count in enumerate(probes.fired) if count]
        return {bisect_right(starts, number) - 1 for number in fired}

    def _fast_path_info(self, index: int) -> FastPathInfo:
        return self._unpacked().fast_path_info(index)

    def _unpacked(self) -> PackedInfos:
        if self._infos is None:
            self._infos = self._group.packed()
            self._infos.read_as(_unpacked_safely, bool(self._loses_lines))
        return self._infos


def _parts_of_code(probes: ProbeCounts) -> tuple[list[int], list[tuple[int, int]], dict[int, int]]:
    """Return the counts of probes, of exits by position, and of frames by code unit, of *probes* of one code object."""
    return probes.fired.tolist(), [*probes.exits.items()], {unit: n for (_, unit), n in probes.in_flight.items()}


def _unpacked_safely(part: bytes) -> Any:
    """Return the content of a packed *part* of a plan file: see `recovery_info.decompressed`."""
    if part.startswith(b"x"):
        import zlib

        decompressor = zlib.decompressobj()
        part = decompressor.decompress(part, LARGEST)
        if decompressor.unconsumed_tail or not decompressor.eof:
            raise ValueError("a part is too large, or cut off")
    return from_bytes(part)
