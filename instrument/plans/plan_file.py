"""Plan files: all that is known of a code group before it runs, written once for each version of the code.

The Plans of a `CodeGroup` go out as bytes. A reader, perhaps under another Python, makes `GroupPlans` of these bytes,
without trust in them. With the ProbeCounts of any process, these recover lines, function entries and flows.

So a process saves bare numbers when it ends. Go stores its coverage in the same way (internal/coverage: meta-data
files and counter data files).

The name of a plan file is a hash of its content. So a file of this name holds this content, whoever wrote it, and the
processes that run the same code share it.
"""

from __future__ import annotations

import sys
from _bisect import bisect_right
from _imp import source_hash

from instrument.decode.versions import INLINED_CALL_LOSES_LINE
from instrument.guest.own_imports import errors
from instrument.link.code_group import CodeGroup, GroupIndex
from instrument.model.plain_values import from_bytes, to_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from instrument.flow.conservation import Observation
    from instrument.link.recovery_info import FastPathInfo, PackedInfos, RecoveryInfo
    from instrument.model.counts import Counts
    from instrument.model.probe_counts import ProbeCounts

#: How a plan file begins, and the version of its content.
MAGIC = b"INSTpln\n"
LAYOUT = 1
#: The two keys of the hash in the name of a plan file: each gives 64 bits.
_KEYS = (LAYOUT, LAYOUT + (1 << 32))
#: The number of characters of a name.
LENGTH_OF_NAME = 32
#: Bytes. A part of a plan file is no larger when it is decompressed, nor is the file.
LARGEST = 1 << 28


def content_of(group: CodeGroup) -> bytes:
    """Return the content of the plan file of *group*."""
    index, packed, sizes = group.for_plan_file()
    _, first_lines, starts, keys = index.as_tuple()
    facts = (sys.byteorder, INLINED_CALL_LOSES_LINE, first_lines, starts, keys, tuple(sizes), packed)
    return MAGIC + to_bytes((LAYOUT, *facts))


def name_of(content: bytes) -> str:
    """Return the name of the plan file with *content*, which has LENGTH_OF_NAME hexadecimal digits."""
    return b"".join([source_hash(key, content) for key in _KEYS]).hex()


class GroupPlans:
    """The plans in a plan file with this *content*. Raise DataError if the content is damaged.

    `n_counters` is the number of counters of the group. Every method raises DataError if it meets damage.
    """

    def __init__(self, content: bytes) -> None:
        if not content.startswith(MAGIC):
            raise errors.DataError("it is no plan file of instrument")
        try:
            layout, *facts = from_bytes(content[len(MAGIC) :])
            if layout != LAYOUT:
                raise errors.DataError(
                    f"it is in layout {layout}, and this version of instrument reads layout {LAYOUT} only"
                )
            byte_order, self._loses_lines, first_lines, starts, keys, sizes, packed = facts
            if byte_order != sys.byteorder:
                raise errors.DataError(f"it is of a machine with another byte order ({byte_order} endian)")
            self._group = CodeGroup(0, None, GroupIndex("", first_lines, starts, keys), *packed, sizes=sizes)
            self.n_counters = self._group.starts[-1]
        except errors.InstrumentError:
            raise
        except Exception as error:
            raise _damage(error) from error
        self._infos: PackedInfos | None = None

    def functions(self) -> Iterator[tuple[int, str, int]]:
        """Yield number, qualified name and first line of each code object that was rewritten."""
        try:
            for index in range(len(self._group)):
                if not self._unpacked().was_refused(index):
                    yield index, self._fast_path_info(index).name, self._group.first_line(index)
        except errors.InstrumentError:
            raise
        except Exception as error:
            raise _damage(error) from error

    def counts(self, probes: ProbeCounts) -> Iterator[tuple[str, int, Counts]]:
        """Yield qualified name, first line and Counts of each code object for which *probes* have anything.

        Raise ConservationError if *probes* contradict each other.
        """
        try:
            for index, fired, exits, in_flight in self._by_code(probes):
                info = self._fast_path_info(index)
                counts = self._unpacked().recover(index, info, fired, [*exits.items()], in_flight)
                if counts:
                    yield info.name, self._group.first_line(index), counts
        except errors.InstrumentError:
            raise
        except Exception as error:
            raise _damage(error) from error

    def observations(self, probes: ProbeCounts) -> Iterator[tuple[int, RecoveryInfo, Observation]]:
        """Yield number, RecoveryInfo and Observation of each code object for which *probes* have anything."""
        try:
            for index, fired, exits, in_flight in self._by_code(probes):
                info = self.recovery_info(index)
                n_records = len(info.plan.exits)
                by_unit = {self._group.exit_at(position, n_records): n for position, n in exits.items()}
                yield index, info, info.observe(fired, by_unit, in_flight)
        except errors.InstrumentError:
            raise
        except Exception as error:
            raise _damage(error) from error

    def recovery_info(self, index: int) -> RecoveryInfo:
        """Return the RecoveryInfo of the code object *index*."""
        return self._unpacked().recovery_info(index)

    def _by_code(self, probes: ProbeCounts) -> Iterator[tuple[int, list[int], Mapping[int, int], dict[int, int]]]:
        """Yield the number of each code object for which *probes* have anything, and its part of these.

        The part has the counts of its probes, of exits by position, and of frames by code unit.
        """
        group, starts = self._group, self._group.starts
        if len(probes.fired) != self.n_counters:
            raise errors.DataError(f"its code has {self.n_counters} counters, and the counts {len(probes.fired)}")
        exits: dict[int, dict[int, int]] = {}
        for position, n in probes.exits.items():
            exits.setdefault(group.code_at(position), {})[position] = n
        in_flight: dict[int, dict[int, int]] = {}
        for (index, unit), n in probes.in_flight.items():
            in_flight.setdefault(index, {})[unit] = n
        has_others = exits.keys() | in_flight.keys()
        if has_others and not 0 <= min(has_others) <= max(has_others) < len(group):
            raise errors.DataError("it lacks code that has counts")
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
            self._infos = self._group.packed(_unpacked_safely, bool(self._loses_lines))
        return self._infos


def _unpacked_safely(part: bytes) -> Any:
    """Return the content of a packed *part* of a plan file: see `recovery_info.decompressed`."""
    if part.startswith(b"x"):
        import zlib

        decompressor = zlib.decompressobj()
        part = decompressor.decompress(part, LARGEST)
        if decompressor.unconsumed_tail or not decompressor.eof:
            raise ValueError("a part is too large, or cut off")
    return from_bytes(part)


def _damage(error: Exception) -> errors.DataError:
    """Return the error for a plan file in which *error* was met: a plan that a process writes never raises it."""
    return errors.DataError(f"its plan is damaged: {type(error).__name__}: {error}")
