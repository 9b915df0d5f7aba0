"""Link the code of a whole module in a single call of the interpreter's unpickler.

`UnlinkedValues` of a module come in, in the order of `nested_code`, and a `PickledCode` goes out, which `marshal` can
store. Later it comes in again, with counters, and the live code goes out.

Problem: a start links the code of many modules. `linker.link` takes longer than all else in an import from the cache:
it puts tuples together and takes them apart again, in Python.
Solution: the unpickler is a stack machine in C. A pickle is a program for it. The pickle says how code objects are put
together, and nothing else. All objects that it puts together come *out of band* (PEP 574): the instruction NEXT_BUFFER
pushes the next object of an iterator, of any type. First come the objects that are memoized. These are CodeType, the
constants that all code shares, names of methods, the constants, names and bytes of the code, and the keys of exits.
Then come the counters, each at the place where it belongs. No object is looked up by name, no module is imported, and
no code of the program is called. The pickle is written by hand, because `pickle.dumps` cannot write NEXT_BUFFER for
such objects.
Alternatives: constants and names in the pickle itself. The unpickler does not intern strings, as `marshal` does, and
CodeType interns the names of each code object anew. [3.12, code of sympy, by callgrind: 784 million instructions so,
677 million with them out of band; `marshal` takes 251 million for the original code]
"""

from __future__ import annotations

import sys
from _struct import pack
from itertools import chain, repeat
from types import CodeType

from instrument.guest.own_imports import extension
from instrument.link.code_group import numbers_in, packed_numbers
from instrument.link.exit_records import RANGE_OF_COUNTS
from instrument.rewrite.unlinked import WasInlined, in_order, shared_constants

_modules_before = set(sys.modules)
_unpickle = extension("_pickle").loads

# The program's own import of these modules is executed, and counted, as in a plain run.
for _name in {"_pickle", "_compat_pickle", "codecs", "functools"} & (sys.modules.keys() - _modules_before):
    del sys.modules[_name]
del _modules_before

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from instrument.link.exit_records import ExitRecords
    from instrument.link.unlinked_values import UnlinkedValues

    #: The pickle; packed positions of exit keys; names of methods of inlinable calls; constants, names and bytes.
    PickledCode = tuple[bytes, bytes, tuple[str | None, ...], tuple[Any, ...]]

# Instructions of pickle (pickletools describes them).
_MARK, _TUPLE, _STOP, _POP, _REDUCE, _MEMOIZE, _NEXT_BUFFER = b"(", b"t", b".", b"0", b"R", b"\x94", b"\x97"
_BINGET, _LONG_BINGET, _BININT1, _BININT = b"h", b"j", b"K", b"J"
_EMPTY_TUPLE = b")"
_SINGLETONS = {None: b"N", True: b"\x88", False: b"\x89"}

#: The numbers in the memo of the objects that come first. `load_live_code` passes them in this order.
_CODE, _LATE, _RANGE_OF_COUNTS, _TRACEBACK_OF, _EXCHANGE, _RECORDS, _N_SHARED = range(7)


def compile_to_pickle(unlinked_codes: Sequence[UnlinkedValues], file_name: str) -> PickledCode:
    """Return a pickle for *unlinked_codes*, from the source file *file_name*.

    `load_live_code` returns the last code object, with all others nested in it. Raise ValueError if they are not in the
    order of `nested_code`.
    """
    return _PickleCompiler(unlinked_codes, file_name).pickled()


class _PickleCompiler:
    """Writes the pickle of one module."""

    def __init__(self, unlinked_codes: Sequence[UnlinkedValues], file_name: str) -> None:
        self._unlinked_codes = unlinked_codes
        #: The arguments of CodeType from the file name on, for each code object.
        self._last_arguments = [
            (file_name if unlinked.file_name is None else unlinked.file_name, *unlinked.last_arguments)
            for unlinked in unlinked_codes
        ]
        self._instructions: list[bytes] = []
        self._n_written = 0
        #: The number in the memo of each code object that is used more than once and was written, by its index.
        self._memoized: dict[int, int] = {}
        self._n_uses = [0] * len(unlinked_codes)
        self._number_objects()

    def _number_objects(self) -> None:
        """Collect the objects that are memoized first, and give them their numbers in the memo."""
        self._method_names: list[str | None] = []
        #: The number in the memo of the first method name of each code object.
        self._first_names: list[int] = []
        #: The index of each constant, by `_identity`.
        self._constant_indices: dict[tuple[type, object], int] = {}
        self._constants: list[Any] = []
        #: The index of each key, by its position in the code group.
        self._key_indices: dict[int, int] = {}
        #: The position of the first key of each code object in the code group.
        self._first_positions: list[int] = []
        position = 0
        for unlinked, last_arguments in zip(self._unlinked_codes, self._last_arguments, strict=True):
            for _, index in unlinked.nested:
                self._n_uses[index] += 1
            for value in (
                *unlinked.first_arguments,
                *unlinked.constants,
                unlinked.names,
                unlinked.variables,
                *last_arguments,
            ):
                if not _has_instruction(value) and (identity := _identity(value)) not in self._constant_indices:
                    self._constant_indices[identity] = len(self._constants)
                    self._constants.append(value)
            self._first_names.append(_N_SHARED + len(self._method_names))
            self._method_names += unlinked.inlinable
            self._first_positions.append(position)
            next_position = position + unlinked.n_key_positions()
            for key_position in range(position, next_position, unlinked.size):
                self._key_indices[key_position] = len(self._key_indices)
            position = next_position
        self._first_constant = _N_SHARED + len(self._method_names)
        self._first_key = self._first_constant + len(self._constants)
        self._n_first = self._first_key + len(self._key_indices)
        self._n_memoized = self._n_first

    def pickled(self) -> PickledCode:
        """Return the pickle, and the objects that it needs out of band."""
        self._write_code(len(self._unlinked_codes) - 1)
        pickle = b"".join(((_NEXT_BUFFER + _MEMOIZE + _POP) * self._n_first, *self._instructions, _STOP))
        positions = packed_numbers([*self._key_indices])
        return pickle, positions, tuple(self._method_names), tuple(self._constants)

    def _write_code(self, index: int) -> None:
        """Write the instructions that push the code object *index*."""
        instructions = self._instructions
        if index in self._memoized:
            instructions.append(_get(self._memoized[index]))
            return
        unlinked = self._unlinked_codes[index]
        instructions += (_get(_CODE), _MARK)
        for value in unlinked.first_arguments:
            self._write_value(value)
        instructions.append(_MARK)
        nested = dict(unlinked.nested)
        for place, constant in enumerate(unlinked.constants):
            if place in nested:
                self._write_code(nested[place])
            else:
                self._write_value(constant)
        # Each NEXT_BUFFER takes the next counter, so the code objects must be written in their order.
        if index != self._n_written:
            raise ValueError("the code is not in the order of `nested_code`")
        self._n_written += 1
        first, size, first_name = self._first_positions[index], unlinked.size, self._first_names[index]
        instructions += in_order(
            originals=(),
            counters=repeat(_NEXT_BUFFER, unlinked.n_probes),
            first_keys=map(self._get_key, range(first, first + unlinked.n_exits * size, size)),
            shared=_GET_SHARED,
            was_inlined=map(_get, range(first_name, first_name + len(unlinked.inlinable))),
            exit_records=_get(_RECORDS),
            first_key=self._get_key(first),
        )
        instructions.append(_TUPLE)
        for value in (unlinked.names, unlinked.variables, *self._last_arguments[index]):
            self._write_value(value)
        instructions.append(_TUPLE + _REDUCE)
        if self._n_uses[index] > 1:
            self._memoized[index] = self._n_memoized
            self._n_memoized += 1
            instructions.append(_MEMOIZE)

    def _get_key(self, position: int) -> bytes:
        """Return the instruction that pushes the key at *position* in the code group."""
        return _get(self._first_key + self._key_indices[position])

    def _write_value(self, value: Any) -> None:
        """Write the instruction that pushes *value*."""
        if not _has_instruction(value):
            instruction = _get(self._first_constant + self._constant_indices[_identity(value)])
        elif type(value) is int:
            instruction = _BININT1 + bytes((value,)) if 0 <= value < 256 else _BININT + pack("<i", value)
        else:
            instruction = _EMPTY_TUPLE if type(value) is tuple else _SINGLETONS[value]
        self._instructions.append(instruction)


def _get(number: int) -> bytes:
    """Return the instruction that pushes the object with *number* in the memo."""
    return _BINGET + bytes((number,)) if number < 256 else _LONG_BINGET + pack("<I", number)


_GET_SHARED = shared_constants(*map(_get, (_TRACEBACK_OF, _LATE, _RANGE_OF_COUNTS, _EXCHANGE)))


def _has_instruction(value: object) -> bool:
    """Return whether one short instruction pushes *value*."""
    if type(value) is int:
        return -(1 << 31) <= value < 1 << 31
    return value is None or type(value) is bool or (type(value) is tuple and not value)


def _identity(value: object) -> tuple[type, object]:
    """Return a key that only *value* and constants which can replace it have.

    Equality is too little: 1, 1.0 and True are equal, and so are zeros of either sign.
    """
    return type(value), value if type(value) in (bytes, str) else repr(value)


def load_live_code(
    pickled: PickledCode,
    counters: Iterable[repeat[None]],
    first_key: int,
    traceback_of: object,
    exchange_code: object,
    records: ExitRecords,
) -> CodeType:
    """Return the live code of *pickled*, linked to *counters*, with keys of exits from *first_key* on.

    The other arguments are constants that all code shares: see `linker.link`.
    """
    pickle, positions, method_names, constants = pickled
    keys = map(first_key.__add__, numbers_in(positions))
    shared = CodeType, records.late, RANGE_OF_COUNTS, traceback_of, exchange_code, records
    buffers = chain(shared, map(WasInlined, method_names), constants, keys, counters)
    code: CodeType = _unpickle(pickle, buffers=buffers)
    return code
