"""Rewritten code as a program for the interpreter's own unpickler, which makes it live without a line of Python.

`UnlinkedValues` code comes in, in the order of `counters.nested_code`, and what can be kept by `marshal` goes out;
that and counters
come in, and live code goes out. A warm import is as fast as this: `counters.link` takes longer, to put tuples together
and to take them apart again; the unpickler is a stack machine in C.

The program says how code objects are put together, and nothing else. All that they are put together of is handed to the
unpickler *out of band* (PEP 574): the instruction NEXT_BUFFER pushes the next object of an iterator, whatever that is.
First come those that are remembered by number: the constructor of code objects, what all code shares, the constants,
names and bytes that the code consists of, and the keys of exits; then the counters, each where it belongs. Nothing is
looked up by name, nothing is imported, and nothing of the program is called.

Constants and names come by way of `marshal`, not of `pickle`, because what it reads is interned: names that are not are
looked up again for each code object that has them. [3.12, code of sympy, by callgrind: 677 million instructions, where
it was 784 with all in the program; `marshal` needs 251 million for the plain code]
"""

from __future__ import annotations

import sys
from _struct import pack
from itertools import chain, repeat
from types import CodeType

from instrument.guest.own_imports import extension
from instrument.link.counters import RANGE_OF_COUNTS, numbers_in
from instrument.rewrite.constant_layout import in_order, shared_constants
from instrument.rewrite.probes import WasInlined

_before = set(sys.modules)
_unpickle = extension("_pickle").loads

for _name in {"_pickle", "_compat_pickle", "codecs", "functools"} & (sys.modules.keys() - _before):
    del sys.modules[_name]  # the program imports its own, and has it counted
del _before

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from instrument.link.counters import ExitRecords, UnlinkedValues

    #: The program; places of exit keys; names of methods; constants, names and bytes.
    Sealed = tuple[bytes, bytes, tuple[str, ...], tuple[Any, ...]]

# What the program is made of, of the instructions of pickle.
_MARK, _STOP, _POP, _REDUCE, _MEMOIZE, _NEXT_BUFFER = b"(", b".", b"0", b"R", b"\x94", b"\x97"
_EMPTY_TUPLE = b")"
_SINGLE = {None: b"N", True: b"\x88", False: b"\x89"}

#: The numbers of what is handed over first.
_CODE, _LATE, _RANGE_OF_COUNTS, _TRACEBACK_OF, _PREPARE, _RECORDS, _N_SHARED = range(7)


def compile_to_pickle(unlinked_codes: Sequence[UnlinkedValues], file_name: str) -> Sealed:
    """Return *unlinked_codes*, from the source *file_name* and none refused, as a program that makes the last of
    them, all
    others within; raise ValueError if they are in another order than that of `counters.nested_code`.
    """
    return _PickleCompiler(unlinked_codes, file_name).pickled()


class _PickleCompiler:
    def __init__(self, unlinked_codes: Sequence[UnlinkedValues], file_name: str) -> None:
        self._flats = [
            (*unlinked[:4], (file_name if unlinked[4] is None else unlinked[4], *unlinked[5]), *unlinked[6:])
            for unlinked in unlinked_codes
        ]
        self._out: list[bytes] = []
        self._n_made = 0
        self._remembered: dict[int, int] = {}
        self._n_uses = [0] * len(unlinked_codes)
        # What is handed over is numbered before the program is written.
        self._inlinable: list[str] = []
        self._first_name: list[int] = []
        self._values: dict[tuple[type, object], int] = {}
        self._constants: list[Any] = []
        self._places: dict[int, int] = {}
        self._bases: list[int] = []
        base = 0
        for unlinked in self._flats:
            head, constants, names, variables, rest, nested, _, n_exits, size, inlinable = unlinked
            for _, number in nested:
                self._n_uses[number] += 1
            for value in (*head, *constants, names, variables, *rest):
                if not _is_short(value) and (key := _identity(value)) not in self._values:
                    self._values[key] = len(self._constants)
                    self._constants.append(value)
            self._first_name.append(_N_SHARED + len(self._inlinable))
            self._inlinable += inlinable
            self._bases.append(base)
            for place in range(base, base + max(n_exits, 1) * size, size):
                self._places[place] = len(self._places)
            base += max(n_exits, 1) * size
        self._first_constant = _N_SHARED + len(self._inlinable)
        self._first_key = self._first_constant + len(self._constants)
        self._n_remembered = self._n_first = self._first_key + len(self._places)

    def pickled(self) -> Sealed:
        self._code(len(self._flats) - 1)
        program = b"".join(((_NEXT_BUFFER + _MEMOIZE + _POP) * self._n_first, *self._out, _STOP))
        places = pack(f"{len(self._places)}I", *self._places)
        return program, places, tuple(self._inlinable), tuple(self._constants)

    def _get(self, number: int) -> None:
        self._out.append(_get(number))

    def _code(self, number: int) -> None:
        if number in self._remembered:
            self._get(self._remembered[number])
            return
        head, constants, names, variables, rest, nested, n_probes, n_exits, size, inlinable = self._flats[number]
        out = self._out
        self._get(_CODE)
        out.append(_MARK)
        for value in head:
            self._value(value)
        out.append(_MARK)
        within = dict(nested)
        for place, constant in enumerate(constants):
            if place in within:
                self._code(within[place])
            else:
                self._value(constant)
        # Counters are taken in the order in which they come.
        if number != self._n_made:
            raise ValueError("the code is not in the order of `nested_code`")
        self._n_made += 1
        base = self._bases[number]
        keys = [self._first_key + self._places[place] for place in range(base, base + n_exits * size, size)]
        first_name = self._first_name[number]
        out += in_order(
            originals=(),
            counters=repeat(_NEXT_BUFFER, n_probes),
            first_keys=map(_get, keys),
            shared=_SHARED,
            was_inlined=map(_get, range(first_name, first_name + len(inlinable))),
            exit_records=_get(_RECORDS),
            first_key=_get(self._first_key + self._places[base]),
        )
        out.append(b"t")
        for value in (names, variables, *rest):
            self._value(value)
        out.append(b"t" + _REDUCE)
        if self._n_uses[number] > 1:
            self._remembered[number] = self._n_remembered
            self._n_remembered += 1
            out.append(_MEMOIZE)

    def _value(self, value: Any) -> None:
        if not _is_short(value):
            self._get(self._first_constant + self._values[_identity(value)])
        elif type(value) is int:
            self._out.append(b"K" + bytes((value,)) if 0 <= value < 256 else b"J" + pack("<i", value))
        else:
            self._out.append(_EMPTY_TUPLE if type(value) is tuple else _SINGLE[value])


def _get(number: int) -> bytes:
    """Return the instruction that pushes what is remembered by *number*."""
    return b"h" + bytes((number,)) if number < 256 else b"j" + pack("<I", number)


_SHARED = shared_constants(*map(_get, (_TRACEBACK_OF, _LATE, _RANGE_OF_COUNTS, _PREPARE)))


def _is_short(value: object) -> bool:
    """Return whether *value* is made by a short instruction of its own."""
    if type(value) is int:
        return -(1 << 31) <= value < 1 << 31
    return value is None or type(value) is bool or (type(value) is tuple and not value)


def _identity(value: object) -> tuple[type, object]:
    """Return what tells *value* from all that it must not be replaced by, which is more than being equal to it: 1, 1.0
    and True are, and zeros of either sign.
    """
    return type(value), value if type(value) in (bytes, str) else repr(value)


def load_live_code(
    pickled: Sealed,
    counters: Iterable[repeat[None]],
    first_key: int,
    traceback_of: object,
    exchange_code: object,
    records: ExitRecords,
) -> CodeType:
    """Return the live code that was *pickled*, with *counters*.

    All code shares what gets the *traceback_of* an exception, what *exchange_code*s code that is handed over, and the
    *records* where exits are counted, by keys from *first_key* on.
    """
    program, places, inlinable, constants = pickled
    keys = map(first_key.__add__, numbers_in(places))
    shared = CodeType, records.late, RANGE_OF_COUNTS, traceback_of, exchange_code, records
    buffers = chain(shared, map(WasInlined, inlinable), constants, keys, counters)
    code: CodeType = _unpickle(program, buffers=buffers)
    return code
