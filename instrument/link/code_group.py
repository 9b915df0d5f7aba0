"""Find the code object, the probe and the exit that a counter or a key belongs to.

A code group is the code that was linked together. Its code objects have numbers from 0 on, its counters are
consecutive, and so are the keys of its exits. The group holds no code, except where its session needs that: the program
frees live code as it would free the original.

A key of an exit is the negative number of the group, shifted by 28 bits, plus a position within the group. Keys are
negative so that no other integer constant of live code is taken for one.
"""

from __future__ import annotations

from _bisect import bisect_right
from itertools import chain

from instrument.guest.own_imports import extension
from instrument.link.unlinked_values import RefusedCode
from instrument.rewrite.unlinked import UNITS_TO_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from itertools import repeat
    from types import CodeType

    from instrument.link.module_import import Origin
    from instrument.link.recovery_info import PackedInfos, PackedParts, RecoveryInfo
    from instrument.link.source_versions import Source
    from instrument.link.unlinked_values import UnlinkedValues

_array = extension("array").array
_SHIFT = 28
_POSITION = (1 << _SHIFT) - 1


def group_of(key: int) -> int:
    """Return the number of the code group that *key* belongs to."""
    return -(key >> _SHIFT)


def position_of(key: int) -> int:
    """Return the position of *key* within its code group."""
    return key & _POSITION


def first_key_of(number: int) -> int:
    """Return the first key of the code group *number*."""
    return -number << _SHIFT


# Numbers are read through a memoryview, which copies none.


def packed_numbers(numbers: Sequence[int], kind: str = "I") -> bytes:
    """Return *numbers* as an array of C numbers; *kind* is a type code of `array`."""
    packed: bytes = _array(kind, numbers).tobytes()
    return packed


def numbers_in(packed: bytes, kind: str = "I") -> memoryview[int]:
    """Return the numbers that `packed_numbers` has *packed*."""
    return memoryview(packed).cast(kind)  # type: ignore[call-overload, no-any-return]


class GroupIndex:
    """Where the code objects of a group begin, in a form that can be stored.

    - `file_name`: the source file.
    - `first_lines`: the packed first line of each code object, 0 if it was refused; numbers of the kind "i".
    - `starts`: the packed position of the first counter of each code object in the group, then the number of counters.
    - `keys`: the packed position of the first key of each code object in the group, then the number of positions.
    """

    __slots__ = ("file_name", "first_lines", "keys", "starts")

    def __init__(self, file_name: str, first_lines: bytes, starts: bytes, keys: bytes) -> None:
        self.file_name = file_name
        self.first_lines = first_lines
        self.starts = starts
        self.keys = keys

    def as_tuple(self) -> tuple[str, bytes, bytes, bytes]:
        """Return the arguments that make an equal GroupIndex."""
        return self.file_name, self.first_lines, self.starts, self.keys


def index_of_group(unlinked_codes: Sequence[UnlinkedValues | RefusedCode], file_name: str) -> GroupIndex:
    """Return the index of a group of *unlinked_codes* from the source file *file_name*."""
    first_lines = []
    starts, keys = [0], [0]
    for unlinked in unlinked_codes:
        if isinstance(unlinked, RefusedCode):
            first_lines.append(0)
            n_probes = n_keys = 0
        else:
            first_lines.append(unlinked.first_line())
            n_probes, n_keys = unlinked.n_probes, unlinked.n_key_positions()
        starts.append(starts[-1] + n_probes)
        keys.append(keys[-1] + n_keys)
    return GroupIndex(file_name, packed_numbers(first_lines, "i"), packed_numbers(starts), packed_numbers(keys))


class CodeGroup:
    """The code objects that were linked together.

    - `number`: unique in the session.
    - `file`: the `__file__` of the module that the code runs in, or None.
    - `file_name`: the source file.
    - `first`: the index of the group's first counter among the counters of the session; or `counters` are the group's
      own, and not empty.
    - `starts`: as in GroupIndex, unpacked.
    - `codes`: the live code objects; `originals`: their originals. None if the session need not hold them.
    - `origin`: returns the original of the module's code again; None if nothing can.
    - `module`: the name of the module that the code runs in; `source`: its source text. None if no scope needs them.
    """

    __slots__ = (
        *("_first_lines", "_index", "_infos", "_keys", "_packed", "_sizes", "codes", "counters", "file", "file_name"),
        *("first", "module", "number", "origin", "originals", "source", "starts"),
    )

    def __init__(
        self, number: int, file: str | None, index: GroupIndex, *packed: PackedParts, sizes: Sequence[int] = ()
    ) -> None:
        """Make the group *number* of the code with *index*; *packed* has infos in parts of *sizes* code objects.

        Without *sizes*, there is one part.
        """
        self.number = number
        self.file = file
        self.file_name = index.file_name
        self.first = 0
        self.counters: list[repeat[None]] = []
        self.codes: list[CodeType] | None = None
        self.originals: list[CodeType] | None = None
        self.origin: Origin | None = None
        self.module: str | None = None
        self.source: Source | None = None
        self._packed = packed
        self._sizes = sizes
        self._infos: PackedInfos | None = None
        self._index = index
        #: Unpacked when they are first needed: most groups never need them, and each takes 300 bytes.
        self._first_lines: memoryview[int] | None = None
        self._keys: memoryview[int] | None = None
        self.starts = numbers_in(index.starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def packed(self) -> PackedInfos:
        """Return the infos of all code objects."""
        from instrument.link.recovery_info import PackedInfos

        return PackedInfos(self.file_name, self.exit_at, self._packed, self._sizes or (len(self),))

    def for_plan_file(self) -> tuple[GroupIndex, tuple[PackedParts, ...], Sequence[int]]:
        """Return index, packed infos and sizes of this group: a plan file has these."""
        return self._index, self._packed, self._sizes

    def recovery_info(self, index: int) -> RecoveryInfo:
        """Return the RecoveryInfo of the code object *index*, which must not have been refused.

        The unpacked parts are kept, for callers that ask for many code objects.
        """
        if self._infos is None:
            self._infos = self.packed()
        return self._infos.recovery_info(index)

    def is_as_linked(self, code: CodeType, key: int) -> bool:
        """Return whether *code*, whose first key is *key*, has the file name and first line that it was linked with.

        The program may have derived it from live code by `replace`.
        """
        return code.co_filename == self.file_name and code.co_firstlineno == self.first_line(self.code_at(key))

    def first_line(self, index: int) -> int:
        """Return the first line of the code object *index*."""
        if self._first_lines is None:
            self._first_lines = numbers_in(self._index.first_lines, "i")
        return self._first_lines[index]

    def rewritten(self) -> bytes:
        """Return bytes that tell this code from other code that was compiled from a file of the same name."""
        return b"".join(chain.from_iterable(self._packed))

    def source_key(self) -> tuple[str, str] | None:
        """Return path and version of the source file, under which the counts are saved.

        Return None if the code came from no file, or if no scope needs its source.
        """
        if self.source is None or self.file_name.startswith("<"):
            return None
        return self.source.path, self.source.version(self.rewritten)

    def is_like(self, other: CodeGroup) -> bool:
        """Return whether *other* certainly has the same source text, and was rewritten to the same code."""
        mine, theirs = self.source, other.source
        is_same = mine is theirs or (mine is not None and theirs is not None and mine.is_like(theirs))
        return is_same and self._packed == other._packed

    def code_of_probe(self, number: int) -> int:
        """Return the index of the code object that the probe *number* of this group is in."""
        return bisect_right(self.starts, number) - 1

    def code_at(self, key: int) -> int:
        """Return the index of the code object that *key* belongs to."""
        return bisect_right(self.keys(), key & _POSITION) - 1

    def keys(self) -> memoryview[int]:
        """Return the keys of the GroupIndex, unpacked."""
        if self._keys is None:
            self._keys = numbers_in(self._index.keys)
        return self._keys

    def exit_at(self, key: int, n_records: int) -> tuple[int, int]:
        """Return the exit record and the code unit of the exit with *key*.

        *n_records* is the number of exit records of the code object that *key* belongs to.
        """
        position = key & _POSITION
        index = self.code_at(position)
        keys = self.keys()
        size = (keys[index + 1] - keys[index]) // max(n_records, 1)
        record, place = divmod(position - keys[index], size)
        return record, place // UNITS_TO_KEYS
