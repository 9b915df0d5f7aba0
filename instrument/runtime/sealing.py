"""Rewritten code as a program for the interpreter's own unpickler, which makes it live without a line of Python.

`Flat` code comes in, innermost first, and a stream of bytes that can be kept goes out; stream and counters come in, and
live code goes out. A warm import is as fast as this: `counters.link` takes some 5 µs for a code object, most of it to
put tuples together and to take them apart again; the unpickler, a stack machine in C, needs half of that and no
intermediate objects, and is about as fast as `marshal` is with the plain code. [3.12, sympy: 49 + 60 ms against 77, and
56 plain]

What is live cannot be written down, so it is handed to the unpickler *out of band* (PEP 574): the instruction
NEXT_BUFFER pushes the next object of an iterator, whatever that is. First come those that are needed more than once,
and are remembered by number: the constructor of code objects, what all code shares, what `marshal` can have and
`pickle` cannot without looking up a class, and the keys of exits; then the counters, each where it belongs. Nothing is
looked up by name, nothing is imported, and nothing of the program is called.
"""

from __future__ import annotations

import sys
from array import array
from itertools import chain
from struct import pack
from types import CodeType

from instrument.rewrite.probes import WasInlined

_before = set(sys.modules)
from _pickle import loads as _unpickle  # noqa: E402

for _name in {"_pickle", "_compat_pickle", "codecs", "functools"} & (sys.modules.keys() - _before):
    del sys.modules[_name]  # the program imports its own, and has it counted
del _before

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from itertools import repeat
    from typing import Any

    from instrument.runtime.counters import Flat

    #: The program; the order in which it takes the counters of code objects, empty if that of their numbers; places of
    #: exit keys; names of methods; constants that only `marshal` can have.
    Sealed = tuple[bytes, bytes, bytes, tuple[Any, ...], tuple[Any, ...]]

# What the program is made of, of the instructions of pickle.
_MARK, _STOP, _POP, _REDUCE, _MEMOIZE, _NEXT_BUFFER = b"(", b".", b"0", b"R", b"\x94", b"\x97"
_TUPLES = {0: b")", 1: b"\x85", 2: b"\x86", 3: b"\x87"}
_SINGLE = {None: b"N", True: b"\x88", False: b"\x89"}

#: The numbers of what is handed over first.
_CODE, _TRACEBACK_OF, _PREPARE, _RECORDS = range(4)


def seal(flats: Sequence[Flat]) -> Sealed:
    """Return *flats*, none of which is refused, as a program that makes the last of them, all others within."""
    return _Sealing(flats).sealed()


class _Sealing:
    def __init__(self, flats: Sequence[Flat]) -> None:
        self._flats = flats
        self._places = array("I")
        self._order = array("I")
        self._inlinable: list[Any] = []
        self._odd: list[Any] = []
        self._remembered: dict[object, int] = {}
        self._out: list[bytes] = []
        self._n_uses = [0] * len(flats)
        self._bases: list[int] = []
        base = 0
        for flat in flats:
            for _, number in flat[5]:
                self._n_uses[number] += 1
            self._bases.append(base)
            base += flat[7] * flat[8] or flat[8]
        # What is handed over is counted before the program is written: their numbers come first.
        self._n_inlinable = sum(len(flat[9]) for flat in flats)
        self._n_keys = sum(flat[7] + 1 for flat in flats)
        self._n_odd = 0
        for flat in flats:
            self._count_odd(flat[1])
        self._n_first = 4 + self._n_inlinable + self._n_odd + self._n_keys
        self._n_remembered = self._n_first

    def sealed(self) -> Sealed:
        self._code(len(self._flats) - 1)
        program = b"".join(((_NEXT_BUFFER + _MEMOIZE + _POP) * self._n_first, *self._out, _STOP))
        # What is in a tuple that comes twice was counted twice, and is handed over once.
        self._odd += [None] * (self._n_odd - len(self._odd))
        order = b"" if list(self._order) == list(range(len(self._flats))) else self._order.tobytes()
        return program, order, self._places.tobytes(), tuple(self._inlinable), tuple(self._odd)

    def _count_odd(self, value: object) -> None:
        if type(value) is tuple:
            for item in value:
                self._count_odd(item)
        elif not _is_plain(value):
            self._n_odd += 1

    def _get(self, number: int) -> None:
        self._out.append(b"h" + bytes((number,)) if number < 256 else b"j" + pack("<I", number))

    def _remember(self, key: object) -> None:
        self._remembered[key] = self._n_remembered
        self._n_remembered += 1
        self._out.append(_MEMOIZE)

    def _code(self, number: int) -> None:
        if (key := ("code", number)) in self._remembered:
            self._get(self._remembered[key])
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
        self._order.append(number)
        out.append(_NEXT_BUFFER * n_probes)
        for place in range(self._bases[number], self._bases[number] + n_exits * size, size):
            self._key(place)
        self._get(_TRACEBACK_OF)
        self._get(_PREPARE)
        for name in inlinable:
            self._get(4 + len(self._inlinable))
            self._inlinable.append(name)
        self._get(_RECORDS)
        self._key(self._bases[number])
        out.append(b"t")
        self._value(names)
        self._value(variables)
        for value in rest:
            self._value(value)
        out.append(b"t" + _REDUCE)
        if self._n_uses[number] > 1:
            self._remember(("code", number))

    def _key(self, place: int) -> None:
        self._get(4 + self._n_inlinable + self._n_odd + len(self._places))
        self._places.append(place)

    def _value(self, value: Any) -> None:
        out, kind = self._out, type(value)
        if not _is_plain(value):
            self._get(4 + self._n_inlinable + len(self._odd))
            self._odd.append(value)
        elif kind is int:
            if 0 <= value < 1 << 8:
                out.append(b"K" + bytes((value,)))
            else:
                out.append(b"J" + pack("<i", value))
        elif kind is str or kind is bytes:
            if (kind, value) in self._remembered:
                self._get(self._remembered[kind, value])
                return
            data = value.encode("utf-8", "surrogatepass") if kind is str else value
            out.append((b"X" if kind is str else b"B") + pack("<I", len(data)))
            out.append(data)
            self._remember((kind, value))
        elif kind is tuple:
            self._tuple(value)
        elif value is None or kind is bool:
            out.append(_SINGLE[value])
        else:
            out.append(b"G" + pack(">d", value))

    def _tuple(self, value: tuple[Any, ...]) -> None:
        # By its text: 1, 1.0 and True are equal, and zeros of either sign.
        key = tuple, repr(value)
        if key in self._remembered:
            self._get(self._remembered[key])
            return
        if len(value) > 3:
            self._out.append(_MARK)
        for item in value:
            self._value(item)
        self._out.append(_TUPLES.get(len(value), b"t"))
        if value:
            self._remember(key)


def _is_plain(value: object) -> bool:
    """Return whether pickle has instructions of its own for *value*."""
    if type(value) is int:
        return -(1 << 31) <= value < 1 << 31
    return value is None or type(value) in (str, bytes, tuple, bool, float)


def unseal(
    sealed: Sealed, probes: Sequence[repeat[None]], starts: Sequence[int], first_key: int, *shared: object
) -> CodeType:
    """Return the live code that was *sealed*, with *probes*, of which those of each code object begin at its *starts*.

    *shared* is what all code shares: what gets the place of an exception, what prepares code that is handed over, and
    where exits are counted, by keys from *first_key* on.
    """
    program, order, places, inlinable, odd = sealed
    counters: Iterable[object] = probes
    if order:
        counters = chain.from_iterable([probes[starts[n] : starts[n + 1]] for n in array("I", order)])
    keys = map(first_key.__add__, array("I", places))
    buffers = chain((CodeType, *shared), map(WasInlined, inlinable), odd, keys, counters)
    code: CodeType = _unpickle(program, buffers=buffers)
    return code
