"""Link the code of a whole module in a single call of the interpreter's unpickler.

`UnlinkedValues` of a module come in, in the order of `nested_code`, and a `PickledCode` goes out, which `marshal` can
store. Later it comes in again, with counters, and the live code goes out.

Problem: a start links the code of many modules. `linker.link` takes longer than all else in an import from the cache:
it puts tuples together and takes them apart again, in Python.
Solution: the unpickler is a stack machine in C. A pickle is a program for it. The pickle says how code objects are put
together, and nothing else. All objects that it puts together come *out of band* (PEP 574): the instruction NEXT_BUFFER
pushes the next object of an iterator, of any type. First come the objects that are memoized.
These are CodeType, the constants that all code shares, names of methods, the keys of exits, and the constants, names
and bytes of the code. The name of the source file is one of them, so equal text in any folder has one pickle.
Then come the counters, each at the place where it belongs. No object is looked up by name, no module is imported, and
no code of the program is called. The pickle is written by hand, because `pickle.dumps` cannot write NEXT_BUFFER for
such objects.
Alternatives: constants and names in the pickle itself. The unpickler does not intern strings, as `marshal` does, and
CodeType interns the names of each code object anew. [3.12, code of sympy, by callgrind: 784 million instructions so,
677 million with them out of band; `marshal` takes 251 million for the original code]
"""

from __future__ import annotations

import sys
from itertools import accumulate, chain, repeat
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

    #: The pickle; names of methods of inlinable calls; packed positions of exit keys; constants, names and bytes.
    PickledCode = tuple[bytes, tuple[str | None, ...], bytes, tuple[Any, ...]]

# Instructions of pickle (pickletools describes them).
_MARK, _TUPLE, _STOP, _POP, _REDUCE, _MEMOIZE, _NEXT_BUFFER = b"(", b"t", b".", b"0", b"R", b"\x94", b"\x97"
_BINGET, _LONG_BINGET, _BININT1, _BININT = b"h", b"j", b"K", b"J"
#: By identity: 1 equals True.
_INSTRUCTION_OF_SINGLETON = {id(None): b"N", id(True): b"\x88", id(False): b"\x89", id(()): b")"}
#: The numbers in the memo of the objects that come first. `load_live_code` passes them in this order.
_CODE, _FILE_NAME, _LATE, _RANGE_OF_COUNTS, _TRACEBACK_OF, _EXCHANGE, _RECORDS, _N_SHARED = range(8)


def compile_to_pickle(unlinked_codes: Sequence[UnlinkedValues]) -> PickledCode:
    """Return a pickle for *unlinked_codes*.

    `load_live_code` returns the last code object, with all others nested in it. Raise ValueError if they are not in the
    order of `nested_code`.
    """
    return _PickleCompiler(unlinked_codes).pickled()


class _PickleCompiler:
    """Writes the pickle of one module.

    A value is memoized once if it is the same object again: compilers use one object for equal constants, and intern
    names. Equal names of variables, line tables and bytecodes are different objects, so `_one_of_equals` merges them.
    [3.12, microseconds a line of the standard library: 0.9; 1.7 if all values are compared by type and text]
    """

    def __init__(self, unlinked_codes: Sequence[UnlinkedValues]) -> None:
        self._unlinked_codes = unlinked_codes
        self._instructions: list[bytes] = []
        self._n_written = 0
        self._method_names = [name for unlinked in unlinked_codes for name in unlinked.inlinable]
        #: For each code object, the number in the memo of its first method name.
        self._first_names = [*accumulate([len(unlinked.inlinable) for unlinked in unlinked_codes], initial=_N_SHARED)]
        first_positions = accumulate([unlinked.n_key_positions() for unlinked in unlinked_codes], initial=0)
        #: For each code object, the position of each of its keys in the code group.
        self._key_positions = [
            range(first, first + unlinked.n_key_positions(), unlinked.size)
            for unlinked, first in zip(unlinked_codes, first_positions)
        ]
        first_key = _N_SHARED + len(self._method_names)
        #: For each code object, the number in the memo of its first key.
        self._first_keys = [*accumulate(map(len, self._key_positions), initial=first_key)]
        self._first_constant = self._first_keys[-1]
        self._constants: list[Any] = []
        #: The instruction that pushes a value, by the identity of the object.
        self._instruction_of = dict(_INSTRUCTION_OF_SINGLETON)
        equals: dict[Any, Any] = {}
        self._one_of_equals = equals.setdefault
        #: The code objects that are used more than once, with the places of the instructions that push them again.
        self._reused: dict[int, list[int]] = {}
        used = set()
        for unlinked in unlinked_codes:
            for _, index in unlinked.nested:
                if index in used:
                    self._reused[index] = []
                used.add(index)
        #: Those of them that were written, in the order of their numbers in the memo.
        self._memoized: list[int] = []

    def pickled(self) -> PickledCode:
        """Return the pickle, and the objects that it needs out of band."""
        self._write_code(len(self._unlinked_codes) - 1)
        n_first = self._first_constant + len(self._constants)
        for number, index in enumerate(self._memoized, n_first):
            for place in self._reused[index]:
                self._instructions[place] = _get(number)
        pickle = b"".join(((_NEXT_BUFFER + _MEMOIZE + _POP) * n_first, *self._instructions, _STOP))
        positions = packed_numbers([*chain.from_iterable(self._key_positions)])
        return pickle, tuple(self._method_names), positions, tuple(self._constants)

    def _write_code(self, index: int) -> None:
        """Write the instructions that push the code object *index*."""
        instructions = self._instructions
        if index in self._memoized:
            self._reused[index].append(len(instructions))
            instructions.append(b"")
            return
        unlinked = self._unlinked_codes[index]
        *numbers, bytecode = unlinked.first_arguments
        instructions.append(_GET_CODE + _MARK)
        self._write_values((*numbers, self._one_of_equals(bytecode, bytecode)))
        instructions.append(_MARK)
        next_place = 0
        for place, nested in unlinked.nested:
            self._write_values(unlinked.constants[next_place:place])
            self._write_code(nested)
            next_place = place + 1
        self._write_values(unlinked.constants[next_place:])
        # Each NEXT_BUFFER takes the next counter, so the code objects must be written in their order.
        if index != self._n_written:
            raise ValueError("the code is not in the order of `nested_code`")
        self._n_written += 1
        first_key, first_name = self._first_keys[index], self._first_names[index]
        instructions += in_order(
            originals=(),
            counters=(_NEXT_BUFFER * unlinked.n_probes,),
            first_keys=[_get(number) for number in range(first_key, first_key + unlinked.n_exits)],
            shared=_GET_SHARED,
            was_inlined=[_get(number) for number in range(first_name, self._first_names[index + 1])],
            exit_records=_GET_RECORDS,
            first_key=_get(first_key),
        )
        instructions.append(_TUPLE)
        self._write_last_arguments(unlinked)
        instructions.append(_TUPLE + _REDUCE)
        if index in self._reused:
            self._memoized.append(index)
            instructions.append(_MEMOIZE)

    def _write_last_arguments(self, unlinked: UnlinkedValues) -> None:
        """Write the instructions that push the arguments of CodeType behind the constants."""
        name, qualified_name, first_line, line_table, exception_table, free, cells = unlinked.last_arguments
        one_of_equals = self._one_of_equals
        self._write_values(
            (one_of_equals(unlinked.names, unlinked.names), one_of_equals(unlinked.variables, unlinked.variables))
        )
        if unlinked.file_name is None:
            self._instructions.append(_GET_FILE_NAME)
        else:
            self._write_values((unlinked.file_name,))
        self._write_values(
            (
                *(name, qualified_name, first_line),
                one_of_equals(line_table, line_table),
                exception_table,
                one_of_equals(free, free),
                one_of_equals(cells, cells),
            )
        )

    def _write_values(self, values: tuple[Any, ...]) -> None:
        """Write the instruction that pushes each of *values*, objects that live until the pickle is written."""
        known, new = self._instruction_of.get, self._instruction_of_new
        self._instructions += [known(id(value)) or new(value) for value in values]

    def _instruction_of_new(self, value: Any) -> bytes:
        """Return the instruction that pushes *value*, an object that was not pushed before."""
        if type(value) is int and -(1 << 31) <= value < 1 << 31:
            instruction = (
                _BININT1 + bytes((value,)) if 0 <= value < 256 else _BININT + value.to_bytes(4, "little", signed=True)
            )
        else:
            instruction = _get(self._first_constant + len(self._constants))
            self._constants.append(value)
        self._instruction_of[id(value)] = instruction
        return instruction


def _get(number: int) -> bytes:
    """Return the instruction that pushes the object with *number* in the memo."""
    return _BINGET + bytes((number,)) if number < 256 else _LONG_BINGET + number.to_bytes(4, "little")


_GET_CODE, _GET_FILE_NAME, _GET_RECORDS = _get(_CODE), _get(_FILE_NAME), _get(_RECORDS)
_GET_SHARED = shared_constants(*map(_get, (_TRACEBACK_OF, _LATE, _RANGE_OF_COUNTS, _EXCHANGE)))


def load_live_code(
    pickled: PickledCode,
    counters: Iterable[repeat[None]],
    first_key: int,
    file_name: str,
    traceback_of: object,
    exchange_code: object,
    records: ExitRecords,
) -> CodeType:
    """Return the live code of *pickled*, linked to *counters*, with keys of exits from *first_key* on.

    *file_name* is that of its source file. The other arguments are constants that all code shares: see `linker.link`.
    """
    pickle, method_names, positions, constants = pickled
    keys = map(first_key.__add__, numbers_in(positions))
    shared = CodeType, file_name, records.late, RANGE_OF_COUNTS, traceback_of, exchange_code, records
    buffers = chain(shared, map(WasInlined, method_names), keys, constants, counters)
    code: CodeType = _unpickle(pickle, buffers=buffers)
    return code
