"""Counters as C-level iterators: make them, link them into code, read them.

A counter is `itertools.repeat(None, sys.maxsize)`; what is left of it says how often it was moved on. Moving on and
reading are single C calls, so with the interpreter's lock no count is lost between threads and a snapshot of all
counters is atomic.

`UnlinkedValues` code comes in: rewritten, without counters, taken apart into plain values that can be stored. Live
code objects
and the `CodeGroup` that knows what their counters mean go out. What is only needed for reading stays packed until
then, and
the group holds no code: it comes and goes as the program's would.
"""

from __future__ import annotations

import sys
from _bisect import bisect_right
from _collections import defaultdict  # type: ignore[import-not-found]
from _functools import partial  # type: ignore[import-not-found]
from _operator import call, ge
from _struct import pack
from copyreg import pickle
from itertools import accumulate, repeat, starmap
from marshal import dumps, loads
from os import urandom
from types import CodeType

from instrument.decode.versions import COLLECTS_ANYWHERE, INLINED_CALL_LOSES_LINE
from instrument.errors import ConservationError
from instrument.flow import conservation
from instrument.flow.conservation import Observation
from instrument.flow.packing import pack_numbers, unpack_numbers
from instrument.flow.plan import Plan
from instrument.rewrite.constant_layout import EXIT_RECORDS, FIRST_KEY, in_order, shared_constants
from instrument.rewrite.probes import UNITS_TO_KEYS, TracebackOf, WasInlined

try:
    from zlib import compress, decompress
except ImportError:  # an interpreter that was built without it

    def compress(data: bytes, /, level: int = 0) -> bytes:  # type: ignore[misc]
        return data

    def decompress(data: bytes, /) -> bytes:  # type: ignore[misc]
        return data


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from instrument.link.module_import import Origin
    from instrument.link.source_versions import Source
    from instrument.model.counts import Counts
    from instrument.rewrite.unlinked import Unlinked

    #: What CodeType takes before the constants, constants, names, names of variables, name of the source (None if that
    #: is the source of the outermost code), what CodeType takes behind that; (place, flat) of the code among the
    #: constants; numbers of probes and of exits; size in bytes; names of methods.
    #: Or a code object that could not be rewritten, and why.
    UnlinkedValues = tuple[Any, ...]

    #: Name of the source; first lines of the code objects; where their counters begin, and where their keys, and end.
    GroupIndex = tuple[str, bytes, bytes, bytes]

FULL = sys.maxsize
_ARGUMENTS = (None, FULL)
make_counter = partial(repeat, *_ARGUMENTS)


def make_counters(n: int) -> list[repeat[None]]:
    """Return *n* new counters."""
    return list(starmap(repeat, repeat(_ARGUMENTS, n)))


_left_of = repeat.__length_hint__
traceback_of = TracebackOf()
#: Exits have iterators of this for counters on 3.11 (rewrite.probes: record_exit).
RANGE_OF_COUNTS = range(FULL)
_counter_of_exit: Any = type(iter(RANGE_OF_COUNTS)) if COLLECTS_ANYWHERE else repeat
_left_of_exit = _counter_of_exit.__length_hint__
_make_counter_of_exit = partial(iter, RANGE_OF_COUNTS) if COLLECTS_ANYWHERE else make_counter


#: Called with a counter that is pickled: the program pickles code by value.
on_pickled: list[Callable[[repeat[None]], object]] = []


def _new_counter() -> repeat[None]:
    counter: repeat[None] = make_counter()
    return counter


def reduce_counter(iterator: repeat[Any]) -> tuple[Any, ...]:
    """Return what `pickle` makes of a counter: a new one. The program's `itertools` may not have our `repeat`, so it
    cannot be pickled by name.
    """
    if _left_of(iterator) >= FULL >> 1:
        for note in on_pickled:
            note(iterator)
        return _new_counter, ()
    if sys.version_info >= (3, 14):  # not ours: as without us
        raise TypeError("cannot pickle 'itertools.repeat' object")
    return iterator.__reduce__()  # type: ignore[return-value]


if sys.version_info >= (3, 14):  # iterators cannot be pickled any more, but code with counters is, by value
    pickle(repeat, reduce_counter)

#: Keys of exits: the negative number of the group, shifted by this, and a place within the group. All are below zero
#: (rewrite.probes: record_exit).
_SHIFT = 28
_PLACES = (1 << _SHIFT) - 1


#: So many late exits are counted in one go, for which other threads wait.
_N_SETTLED = 4096
#: More of them are not kept: some 400 kB.
_MANY_LATE = 10_000


class LateExits(list):  # type: ignore[type-arg]
    """Keys of exits that could not be counted when they were taken (rewrite.probes: record_exit_late): 40 bytes each
    until the next reading, or until there are many and our thread counts them.
    """

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    def __reduce__(self) -> tuple[object, ...]:
        return LateExits, ()


class ExitRecords(defaultdict):  # type: ignore[misc]
    """Counters of exceptional exits by key, each made when it is first needed; those of all code of one *session*.
    What was not counted there is in *late*.

    Code objects are hashed with their constants, so these are hashable, by identity.
    """

    __slots__ = ("late", "session")
    __hash__ = object.__hash__
    __eq__ = object.__eq__
    __ne__ = object.__ne__
    if COLLECTS_ANYWHERE:
        __missing__ = range

    def __init__(self, session: Any) -> None:
        super().__init__(_make_counter_of_exit)
        self.session = session
        self.late = LateExits()

    def count_late(self) -> None:
        """Count what is late."""
        late = self.late
        while late:
            # One call, in which nothing else runs: whoever breaks in finds each key in one place.
            keys = map(late.pop, repeat(-1, min(len(late), _N_SETTLED)))
            try:
                list(map(next, map(self.setdefault, keys, map(call, repeat(_make_counter_of_exit)))))
            except IndexError:  # another thread has taken some of them
                pass

    def are_many_late(self) -> Callable[[], bool]:
        """Return a function in C that says whether so much is late that it must be counted now."""
        return map(ge, map(len, repeat(self.late)), repeat(_MANY_LATE)).__next__

    def __reduce__(self) -> tuple[object, ...]:
        """Code may be pickled by value, with copies of its counters: what is unpickled counts for nobody, but in this
        process it can still be told what it was made of.
        """
        number = -1
        if self.session is not None:
            if self.session not in _pickled:
                _pickled.append(self.session)
            number = _pickled.index(self.session)
        return _unpickle, (_process, number)


_pickled: list[object] = []
_process = urandom(8)


def _unpickle(process: bytes, number: int) -> ExitRecords:
    return ExitRecords(_pickled[number] if process == _process and number >= 0 else None)


# Numbers are packed by `struct`, and looked at in memory, and not by `array`: that makes itself known to the abstract
# base classes of `collections` when it is imported, in lines that the program may have counted.


def _packed(kind: str, numbers: Sequence[int]) -> bytes:
    return pack(f"{len(numbers)}{kind}", *numbers)


def numbers_in(packed: bytes, kind: str = "I") -> memoryview[int]:
    """Return the numbers that are *packed*."""
    return memoryview(packed).cast(kind)  # type: ignore[call-overload, no-any-return]


class RecoveryInfo:
    """All that reading needs to know of one code object: its Plan, and where its instructions are."""

    __slots__ = ("n_instructions", "name", "places", "plan", "unfired", "units")

    def __init__(
        self,
        plan: tuple[object, ...],
        units: bytes,
        places: tuple[int, ...],
        unfired: bytes,
        n_instructions: int,
        name: str,
    ) -> None:
        self.plan = Plan.unpack(plan)
        self.units = unpack_numbers(units)
        self.places = places
        self.unfired = {unit: number for number, unit in enumerate(unpack_numbers(unfired)) if unit}
        self.n_instructions = n_instructions
        self.name = name

    def place_at(self, unit: int) -> tuple[int, bool]:
        """Return the place of code unit *unit* in terms of the Plan: instruction, and whether its line is lost on
        *unit*.
        """
        if unit in self.unfired:
            return self.n_instructions + len(self.plan.probes) + self.unfired[unit], False
        units = self.units
        number = bisect_right(units, unit) - 1
        if number < 0:
            return 0, False
        n = self.n_instructions
        return number if number < n else self.places[number - n], INLINED_CALL_LOSES_LINE and unit != units[number]

    def observe(
        self, counters: Sequence[int], exits: dict[tuple[int, int], int], in_flight: dict[int, int]
    ) -> Observation:
        """Return what was seen of this code: *exits* by record and code unit, frames *in_flight* by code unit."""
        place_at = self.place_at
        by_place: list[dict[tuple[int, bool], int]] = [{} for _ in self.plan.exits]
        for (record, unit), count in exits.items():
            place = place_at(unit)
            by_place[record][place] = by_place[record].get(place, 0) + count
        flying: dict[tuple[int, bool], int] = {}
        for unit, count in in_flight.items():
            place = place_at(unit)
            flying[place] = flying.get(place, 0) + count
        return Observation(counters, by_place, flying, self.n_instructions)


class FastPathInfo:
    """What reading needs to know of one code object as long as nothing unusual happens: `conservation.applied`."""

    __slots__ = ("file_name", "line_effects", "name")

    def __init__(self, file_name: str, name: str, line_effects: Sequence[tuple[int, ...] | None] | None) -> None:
        self.file_name = file_name
        self.name = name
        self.line_effects = line_effects


class PackedInfos:
    """Briefs and RecoveryInfo of the code objects of *group*, by number, and the counts that follow from them.

    They are *packed* in parts, of *sizes* code objects each, and a part is unpacked when something in it is asked for.
    Keeping it longer than it takes to read would cost many times the memory of the counters.
    """

    def __init__(self, group: CodeGroup, packed: Sequence[tuple[bytes, bytes]], sizes: Iterable[int]) -> None:
        self._group = group
        self._packed = packed
        self._starts = list(accumulate(sizes, initial=0))
        self._unpacked: dict[tuple[int, int], list[bytes | None]] = {}

    def _part_of(self, index: int, which: int) -> bytes | None:
        number = bisect_right(self._starts, index) - 1
        part = self._unpacked.get((number, which))
        if part is None:
            part = self._unpacked[number, which] = loads(_decompressed(self._packed[number][which]))
        return part[index - self._starts[number]]

    def _at(self, index: int, which: int) -> tuple[object, ...]:
        found: tuple[object, ...] = loads(self._part_of(index, which))  # type: ignore[arg-type]
        return found

    def was_refused(self, index: int) -> bool:
        """Return whether the code numbered *index* could not be rewritten: nothing is known of it."""
        return self._part_of(index, 0) is None

    def fast_path_info(self, index: int) -> FastPathInfo:
        """Return what is known of the code numbered *index*, in short."""
        source, name, line_effects = self._at(index, 0)
        file_name = self._group.file_name if source is None else source
        return FastPathInfo(file_name, name, line_effects)  # type: ignore[arg-type]

    def recovery_info(self, index: int) -> RecoveryInfo:
        """Return what is known of the code numbered *index*."""
        return RecoveryInfo(*self._at(index, 1))  # type: ignore[arg-type]

    def recover(
        self,
        index: int,
        fast_path_info: FastPathInfo,
        fired: Sequence[int],
        exits: Sequence[tuple[int, int]],
        in_flight: dict[int, int],
    ) -> Counts:
        """Return what the code numbered *index* counted: how often its probes have *fired*, which *exits* were taken,
        (key, how often), and frames *in_flight* by code unit. Raise ConservationError if that contradicts itself.
        """
        if not exits and not in_flight:
            counts = conservation.recover_fast(fast_path_info.line_effects, fired)
            if counts is not None:
                return counts
        recovery_info = self.recovery_info(index)
        by_place: dict[tuple[int, int], int] = {}
        for key, n in exits:
            by_place[self._group.exit_at(key, recovery_info)] = n
        try:
            return conservation.recover(recovery_info.plan, recovery_info.observe(fired, by_place, in_flight))
        except ConservationError as error:
            error.name_code(fast_path_info.name, fast_path_info.file_name)
            raise


class CodeGroup:
    """Code that was linked together, with numbers from 0 on.

    number      unique in its session
    file        the `__file__` of the module that the code runs in, or None
    file_name   the source that it was compiled from
    first       where its counters begin among those of the session; or `counters` are its own
    codes       the live code and `originals` that which it was made of, None if others hold them if anyone does
    origin      what can get the original back, given the number of a code object; or None
    module      the name of the module that the code runs in, and
    source      the text that it was compiled from; None where nobody asked for them
    """

    __slots__ = (
        *("_first_lines", "_known", "_packed", "_sizes", "codes", "counters", "file", "file_name", "first", "keys"),
        *("module", "number", "origin", "originals", "source", "starts"),
    )

    def __init__(
        self,
        number: int,
        file: str | None,
        outline: GroupIndex,
        *packed: tuple[bytes, bytes],
        sizes: Sequence[int] = (),
    ) -> None:
        self.number = number
        self.file = file
        self.file_name, first_lines, starts, keys = outline
        self.first = 0
        self.counters: list[repeat[None]] = []
        self.codes: list[CodeType] | None = None
        self.originals: list[CodeType] | None = None
        self.origin: Origin | None = None
        self.module: str | None = None
        self.source: Source | None = None
        self._packed = packed
        self._sizes = sizes
        self._known: dict[int, RecoveryInfo] = {}
        self._first_lines = numbers_in(first_lines, "l")
        self.starts = numbers_in(starts)
        self.keys = numbers_in(keys)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def recovery_info(self, index: int) -> RecoveryInfo:
        """Return what is known of the code numbered *index*, and keep it: for those who ask again and again."""
        if index not in self._known:
            packed = self.packed()
            rewritten = [number for number in range(len(self)) if not packed.was_refused(number)]
            self._known.update((number, packed.recovery_info(number)) for number in rewritten)
        return self._known[index]

    def packed(self) -> PackedInfos:
        """Return Briefs and RecoveryInfo of all."""
        return PackedInfos(self, self._packed, self._sizes or (len(self),))

    def is_as_linked(self, code: CodeType, key: int) -> bool:
        """Return whether *code*, which has *key*, is as it was linked: the program may have made other code of it, for
        another file or other lines.
        """
        return code.co_filename == self.file_name and code.co_firstlineno == self._first_lines[self.code_at(key)]

    def first_line(self, index: int) -> int:
        """Return the first line of the code numbered *index*."""
        return self._first_lines[index]

    def rewritten(self) -> bytes:
        """Return what tells this code from other code that was compiled from a file of this name."""
        return b"".join(recovery_info for _, recovery_info in self._packed)

    def source_key(self) -> tuple[str, str] | None:
        """Return what the counts of this code are booked under, path and version; None if it came from no file, or if
        nobody asked for its source.
        """
        if self.source is None or self.file_name.startswith("<"):
            return None
        return self.source.path, self.source.version(self.rewritten())

    def is_like(self, other: CodeGroup) -> bool:
        """Return whether *other* is of the same text for certain, and was rewritten to the same."""
        mine, theirs = self.source, other.source
        is_same = mine is theirs or (mine is not None and theirs is not None and mine.is_like(theirs))
        return is_same and self._packed == other._packed

    def code_of_probe(self, number: int) -> int:
        """Return the number of the code that the counter *number* of this group is in."""
        return bisect_right(self.starts, number) - 1

    def code_at(self, key: int) -> int:
        """Return the number of the code that *key* belongs to."""
        return bisect_right(self.keys, key & _PLACES) - 1

    def exit_at(self, key: int, recovery_info: RecoveryInfo) -> tuple[int, int]:
        """Return record and code unit of the exit with *key*, of the code that *recovery_info* are of."""
        key &= _PLACES
        index = self.code_at(key)
        size = (self.keys[index + 1] - self.keys[index]) // max(len(recovery_info.plan.exits), 1)
        record, place = divmod(key - self.keys[index], size)
        return record, place // UNITS_TO_KEYS


def is_refused(unlinked: UnlinkedValues) -> bool:
    """Return whether *unlinked* is code that could not be rewritten, and why."""
    return len(unlinked) == 2


def index_of_group(unlinked_codes: Sequence[UnlinkedValues], file_name: str) -> GroupIndex:
    """Return where what of *unlinked_codes*, from the source *file_name*, begins, as a CodeGroup needs it."""
    first_lines = []
    starts, keys = [0], [0]
    for unlinked in unlinked_codes:  # in one go: there may be but one or two, time and again
        if len(unlinked) == 2:
            first_lines.append(0)
            n_probes = n_keys = 0
        else:
            first_lines.append(unlinked[5][2])
            n_probes, n_keys = unlinked[7], max(unlinked[8], 1) * unlinked[9]
        starts.append(starts[-1] + n_probes)
        keys.append(keys[-1] + n_keys)
    return file_name, _packed("l", first_lines), _packed("I", starts), _packed("I", keys)


def group_of(key: int) -> int:
    """Return the number of the group that an exit with *key* belongs to."""
    return -(key >> _SHIFT)


def first_key_of(number: int) -> int:
    """Return the first key of the group *number*."""
    return -number << _SHIFT


def nested_code(code: CodeType) -> list[CodeType]:
    """Return *code* and all code nested in it, each behind what is in it, in the order of the constants."""
    found: dict[int, CodeType] = {}
    waiting = [(code, iter(code.co_consts))]
    while waiting:
        outer, constants = waiting[-1]
        for inner in constants:
            if type(inner) is CodeType and id(inner) not in found:
                waiting.append((inner, iter(inner.co_consts)))
                break
        else:
            found[id(outer)] = outer
            waiting.pop()
    return list(found.values())


def unlinked_values(
    tree: Sequence[tuple[CodeType, Unlinked | str]],
) -> tuple[list[UnlinkedValues], tuple[bytes, bytes]]:
    """Return *tree*, code in the order of `nested_code`, with what it was rewritten to or why it was not, as plain
    values:
    what linking needs, and what reading needs. The name of the source is not said, so that the same text in another
    file is the same.
    """
    file_name = tree[-1][0].co_filename
    number_of = {id(code): number for number, (code, _) in enumerate(tree)}
    unlinked_codes: list[UnlinkedValues] = []
    briefs: list[bytes | None] = []
    recovery_info: list[bytes | None] = []
    for code, made in tree:
        if isinstance(made, str):
            unlinked_codes.append((code, made))
            briefs.append(None)
            recovery_info.append(None)
            continue
        new = made.code
        source = None if code.co_filename == file_name else code.co_filename
        constants = list(code.co_consts)
        nested = []
        for place, constant in enumerate(constants):
            if type(constant) is CodeType and id(constant) in number_of:
                nested.append((place, number_of[id(constant)]))
                constants[place] = None
        unlinked_codes.append(
            (
                (
                    *(new.co_argcount, new.co_posonlyargcount, new.co_kwonlyargcount, new.co_nlocals),
                    *(new.co_stacksize, new.co_flags, new.co_code),
                ),
                *(tuple(constants), new.co_names, new.co_varnames, source),
                (
                    *(new.co_name, new.co_qualname, new.co_firstlineno, new.co_linetable, new.co_exceptiontable),
                    *(new.co_freevars, new.co_cellvars),
                ),
                *(tuple(nested), made.n_probes, made.n_exits, len(new.co_code), made.inlinable),
            )
        )
        # One by one: whoever reads while the program runs does not hold it up for long.
        briefs.append(dumps((source, code.co_qualname, made.plan.line_effects)))
        units, unfired = pack_numbers(made.units), pack_numbers(made.unfired)
        recovery_info.append(
            dumps((made.plan.pack(), units, made.instructions, unfired, made.n_instructions, code.co_qualname))  # type: ignore[arg-type]
        )
    return unlinked_codes, (_compressed(dumps(briefs)), _compressed(dumps(recovery_info)))


def _compressed(marshalled: bytes) -> bytes:
    """Return what `_decompressed` gives back. To begin with compression takes longer than what is short is worth."""
    return compress(marshalled, 6) if len(marshalled) > _SHORT else marshalled


def _decompressed(squeezed: bytes) -> bytes:
    # What is compressed begins with an x (RFC 1950), and no list that is marshalled does.
    return decompress(squeezed) if squeezed.startswith(b"x") else squeezed


_SHORT = 1_000


def link(
    unlinked_codes: Sequence[UnlinkedValues],
    group: CodeGroup,
    probes: Sequence[object],
    exits: Sequence[object] | None,
    exchange_code: object,
    records: ExitRecords,
) -> list[CodeType]:
    """Return the live code of *unlinked_codes*, which become *group*: with *probes* in place, and *exits* if those
    are called.

    *exchange_code* is what prepares code that is handed over, *records* are where exits are counted.
    """
    made: list[CodeType] = []
    start = n_exits_before = 0
    base = first_key_of(group.number)
    shared = shared_constants(traceback_of, records.late, RANGE_OF_COUNTS, exchange_code)
    for unlinked in unlinked_codes:
        if len(unlinked) == 2:
            made.append(unlinked[0])
            continue
        head, constants, names, variables, source, rest, nested, n_probes, n_exits, size, inlinable = unlinked
        if nested:
            constants = list(constants)
            for place, number in nested:
                constants[place] = made[number]
        stop = start + n_probes
        n_keys = n_exits * size
        stubs = range(base, base + n_keys, size) if exits is None else exits[n_exits_before : n_exits_before + n_exits]
        made.append(
            CodeType(  # type: ignore[call-arg]
                *head,
                in_order(constants, probes[start:stop], stubs, shared, map(WasInlined, inlinable), records, base),
                names,
                variables,
                group.file_name if source is None else source,
                *rest,
            )
        )
        start = stop
        n_exits_before += n_exits
        base += n_keys or size
    return made


def appended_constants(code: CodeType) -> tuple[ExitRecords, int] | None:
    """Return the records and the first key of *code* if it is live, else None."""
    constants = code.co_consts
    if len(constants) > 3 and type(constants[EXIT_RECORDS]) is ExitRecords:
        records = constants[EXIT_RECORDS]
        if records.session is not None:
            return records, constants[FIRST_KEY]
    return None


def read_counters(counters: Iterable[repeat[None]]) -> list[int]:
    """Return what is left of each of *counters*: a snapshot, atomic under the interpreter's lock."""
    return list(map(_left_of, counters))


def exit_counts(records: ExitRecords) -> dict[int, int]:
    """Return how often each exit of *records* was taken."""
    records.count_late()
    return {key: FULL - _left_of_exit(counter) for key, counter in list(records.items())}


def count_of_exit(counter: Iterator[int]) -> int:
    """Return how often the exit was taken that *counter*, one of ExitRecords, counts."""
    count: int = FULL - _left_of_exit(counter)
    return count
