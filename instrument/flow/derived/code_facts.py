"""CodeFacts: facts about one code object that readers on any version of Python need, besides its Plan.

`Instructions` come in while code is rewritten (`facts_of`). CodeFacts go out, and `flow.derived.derivation` reads them.
Opcodes differ between versions, so each instruction has a class that means the same on all of them. Positions stay in
the form of the interpreter, which all versions share.

Problem: rewriting takes time at each first run, and most facts are never read.
Solution: facts are columns that the rewriter has in any case, or that one call in C makes. Readers do the rest.
[3.12, a third of the standard library: 1.4 % of the time of rewriting, and 1.6 % to pack the facts]
"""

from __future__ import annotations

from instrument.decode.opcodes import (
    MAY_RERAISE,
    OPCODES,
    RAISES,
    RETURNS,
    SKIPPED,
    UNCONDITIONAL_JUMPS,
)
from instrument.decode.versions import SKIPPED_AT_EXHAUSTION
from instrument.flow.packing import Table, pack_lists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from instrument.decode.instructions import Instructions


class InstructionClass:
    """The class of an instruction, a number. It means the same on each version of Python; packed facts contain it."""

    PLAIN = 0  # all that have no class of their own
    GOTO = 1  # an unconditional jump
    IF_TRUE = 2  # jumps if a value is true
    IF_FALSE = 3
    IF_NONE = 4
    IF_NOT_NONE = 5
    FOR_ITER = 6  # jumps if the iterator has no more elements
    SEND = 7  # the first instruction of an await loop
    YIELD = 8
    RESUME = 9
    RETURN = 10
    RAISE = 11  # always raises
    MAY_RERAISE = 12
    SKIPPED = 13  # FOR_ITER skips it
    COPY = 14
    SWAP = 15
    TO_BOOL = 16
    COMPARE = 17
    MATCH = 18  # part of a pattern
    EXCEPTION_MATCH = 19  # part of an `except` clause
    GROUP_MATCH = 20  # part of an `except*` clause
    WITH_EXIT = 21  # calls the exit of a context manager with an exception
    RAISE_GROUP = 22  # makes the exception that is left over behind all `except*` clauses
    GET_ITER = 23
    SAVE_LOCAL = 24  # a comprehension without a frame of its own begins: its variable is saved
    TWO_IN_ONE = 25  # two moves of locals in one instruction: its position is that of the first
    GENERATOR = 26  # makes the generator or coroutine
    CALL_BEGINS = 27  # prepares the call below it, and in warm code makes that call


_NAMES = {
    InstructionClass.IF_TRUE: "POP_JUMP_IF_TRUE POP_JUMP_FORWARD_IF_TRUE POP_JUMP_BACKWARD_IF_TRUE JUMP_IF_TRUE_OR_POP",
    InstructionClass.IF_FALSE: (
        "POP_JUMP_IF_FALSE POP_JUMP_FORWARD_IF_FALSE POP_JUMP_BACKWARD_IF_FALSE JUMP_IF_FALSE_OR_POP"
    ),
    InstructionClass.IF_NONE: "POP_JUMP_IF_NONE POP_JUMP_FORWARD_IF_NONE POP_JUMP_BACKWARD_IF_NONE",
    InstructionClass.IF_NOT_NONE: "POP_JUMP_IF_NOT_NONE POP_JUMP_FORWARD_IF_NOT_NONE POP_JUMP_BACKWARD_IF_NOT_NONE",
    InstructionClass.FOR_ITER: "FOR_ITER",
    InstructionClass.SEND: "SEND",
    InstructionClass.YIELD: "YIELD_VALUE",
    InstructionClass.RESUME: "RESUME",
    InstructionClass.COPY: "COPY",
    InstructionClass.SWAP: "SWAP",
    InstructionClass.TO_BOOL: "TO_BOOL",
    InstructionClass.COMPARE: "COMPARE_OP IS_OP",
    InstructionClass.MATCH: "MATCH_SEQUENCE MATCH_MAPPING MATCH_KEYS MATCH_CLASS",
    InstructionClass.EXCEPTION_MATCH: "CHECK_EXC_MATCH",
    InstructionClass.GROUP_MATCH: "CHECK_EG_MATCH",
    InstructionClass.WITH_EXIT: "WITH_EXCEPT_START",
    InstructionClass.RAISE_GROUP: "PREP_RERAISE_STAR CALL_INTRINSIC_2",
    InstructionClass.GET_ITER: "GET_ITER",
    InstructionClass.SAVE_LOCAL: "LOAD_FAST_AND_CLEAR",
    InstructionClass.TWO_IN_ONE: (
        "STORE_FAST_LOAD_FAST STORE_FAST_STORE_FAST LOAD_FAST_LOAD_FAST LOAD_FAST_BORROW_LOAD_FAST_BORROW"
    ),
    InstructionClass.GENERATOR: "RETURN_GENERATOR",
    InstructionClass.CALL_BEGINS: "PRECALL",
}


def _classes() -> bytes:
    """Return the class of each opcode of this version."""
    classes = bytearray(256)
    for number, opcodes in (
        (InstructionClass.GOTO, UNCONDITIONAL_JUMPS),
        (InstructionClass.RETURN, RETURNS),
        (InstructionClass.RAISE, RAISES),
        (InstructionClass.MAY_RERAISE, MAY_RERAISE),
    ):
        for op in opcodes:
            classes[op] = number
    for number, names in _NAMES.items():
        for name in names.split():
            if name in OPCODES:
                classes[OPCODES[name]] = number
    if SKIPPED[0] >= 0:
        classes[SKIPPED[0]] = InstructionClass.SKIPPED
    return bytes(classes)


_CLASSES = _classes()
#: Two skipped opcodes that stand together, as 3.13 has them. The second one has another use elsewhere.
_SKIPPED_PAIR = bytes(SKIPPED) if len(SKIPPED_AT_EXHAUSTION) > 1 else b""


class CodeFacts:
    """The facts about one code object.

    - `name`, `first_line`: its qualified name, and its first line.
    - `classes`: the InstructionClass of each instruction that the Plan knows, those of unrolled copies included.
    - `units`: the code unit of each of these instructions in the original code. Copies have the same one.
    - `locations`: the `co_linetable` of the original code.
    """

    __slots__ = ("classes", "first_line", "locations", "name", "units")

    def __init__(self, name: str, first_line: int, classes: bytes, units: Sequence[int], locations: bytes) -> None:
        self.name = name
        self.first_line = first_line
        self.classes = classes
        self.units = units
        self.locations = locations


def facts_of(instructions: Instructions) -> CodeFacts:
    """Return the CodeFacts of the code object of *instructions*."""
    code = instructions.code
    ops = instructions.ops
    classes = ops.translate(_CLASSES)
    if _SKIPPED_PAIR and _SKIPPED_PAIR in ops:
        skipped = bytes((InstructionClass.SKIPPED, InstructionClass.SKIPPED))
        classes = classes.replace(bytes((InstructionClass.SKIPPED, _CLASSES[SKIPPED[1]])), skipped)
    return CodeFacts(code.co_qualname, code.co_firstlineno, classes, instructions.starts, code.co_linetable)


def pack_code_facts(facts: Sequence[CodeFacts]) -> tuple[object, ...]:
    """Return *facts* as plain values, which `marshal` takes, for PackedCodeFacts."""
    return (
        tuple([each.name for each in facts]),
        tuple([each.first_line for each in facts]),
        tuple([each.classes for each in facts]),
        pack_lists([each.units for each in facts]),
        tuple([each.locations for each in facts]),
    )


class PackedCodeFacts:
    """The CodeFacts that `pack_code_facts` has *packed*: `facts` unpacks those of one code object."""

    __slots__ = ("_classes", "_first_lines", "_locations", "_names", "_units")

    def __init__(self, packed: tuple[Any, ...]) -> None:
        self._names, self._first_lines, self._classes, units, self._locations = packed
        self._units = Table(units)

    def facts(self, number: int) -> CodeFacts:
        """Return the CodeFacts of the code object *number*."""
        return CodeFacts(
            self._names[number],
            self._first_lines[number],
            self._classes[number],
            self._units.numbers(number),
            self._locations[number],
        )
