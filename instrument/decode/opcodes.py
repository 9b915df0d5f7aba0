"""The table of all opcodes of the supported versions, by kind, and the sets of opcodes that follow from it.

A kind says how control leaves an instruction. Each row of the table names the first and the last version that has its
opcodes. A test fails by name for each opcode in which the table and the running interpreter differ. So an opcode that
was added, renamed or removed is noticed.
"""

from __future__ import annotations

from instrument.decode.versions import (
    END_ASYNC_FOR_NAMES_ITS_SEND,
    LOAD_ATTR_SHIFT,
    POP_ITER_STARTS_NO_LINE,
    SKIPPED_AT_EXHAUSTION,
    SUPPORTED_VERSIONS,
)
from instrument.guest.isolation import import_isolated

TYPE_CHECKING = False
if TYPE_CHECKING:
    import opcode
    from collections.abc import Iterable
else:
    opcode = import_isolated("opcode")

OPNAMES = opcode.opname
OPCODES = opcode.opmap
#: Opcodes from this number on use their argument.
HAVE_ARGUMENT = opcode.HAVE_ARGUMENT
stack_effect = opcode.stack_effect


class OpcodeKind:
    """How control leaves an instruction, by its opcode."""

    PLAIN = "plain"  # goes on to the next instruction
    JUMP = "jump"  # always jumps
    BRANCH = "branch"  # jumps, or goes on to the next instruction
    CALL = "call"  # calls an object of the program, and goes on to the next instruction
    PART_OF_CALL = "part of call"  # prepares the CALL below it, which must follow
    RETURN = "return"  # leaves the frame for good
    YIELD = "yield"  # leaves the frame; control comes back at the RESUME below it
    ENTER = "enter"  # control enters the code here, by a call or by a resumption
    RAISE = "raise"  # always raises
    MAY_RERAISE = "may reraise"  # raises a caught exception again, or goes on to the next instruction
    PREFIX = "prefix"  # holds the upper bits of the next instruction's argument
    CACHE = "cache"  # data of the instruction above it, not an instruction
    INTERNAL = "internal"  # replaces other opcodes while code runs; `co_code` never contains it
    PSEUDO = "pseudo"  # exists within the compiler only; `co_code` never contains it


_FIRST, _LAST = SUPPORTED_VERSIONS[0], SUPPORTED_VERSIONS[-1]

#: All opcodes by kind, in rows: the first and the last version that has them, and their names.
TABLE: dict[str, tuple[tuple[tuple[int, int], tuple[int, int], str], ...]] = {
    OpcodeKind.PLAIN: (
        (_FIRST, _LAST, "BINARY_OP COMPARE_OP CONTAINS_OP IS_OP UNARY_INVERT UNARY_NEGATIVE UNARY_NOT"),
        (_FIRST, _LAST, "BUILD_LIST BUILD_MAP BUILD_SET BUILD_SLICE BUILD_STRING BUILD_TUPLE"),
        (_FIRST, _LAST, "DICT_MERGE DICT_UPDATE LIST_APPEND LIST_EXTEND MAP_ADD SET_ADD SET_UPDATE"),
        (_FIRST, _LAST, "COPY NOP POP_TOP PUSH_NULL SWAP UNPACK_EX UNPACK_SEQUENCE"),
        (_FIRST, _LAST, "COPY_FREE_VARS LOAD_BUILD_CLASS MAKE_CELL MAKE_FUNCTION SETUP_ANNOTATIONS"),
        (_FIRST, _LAST, "DELETE_ATTR DELETE_DEREF DELETE_FAST DELETE_GLOBAL DELETE_NAME DELETE_SUBSCR"),
        (_FIRST, _LAST, "LOAD_ATTR LOAD_CONST LOAD_DEREF LOAD_FAST LOAD_GLOBAL LOAD_NAME"),
        (_FIRST, _LAST, "STORE_ATTR STORE_DEREF STORE_FAST STORE_GLOBAL STORE_NAME STORE_SUBSCR"),
        (_FIRST, _LAST, "GET_AITER GET_ANEXT GET_AWAITABLE GET_ITER GET_LEN IMPORT_FROM IMPORT_NAME"),
        (_FIRST, _LAST, "MATCH_CLASS MATCH_KEYS MATCH_MAPPING MATCH_SEQUENCE"),
        (_FIRST, _LAST, "CHECK_EG_MATCH CHECK_EXC_MATCH POP_EXCEPT PUSH_EXC_INFO WITH_EXCEPT_START"),
        (_FIRST, (3, 11), "ASYNC_GEN_WRAP IMPORT_STAR LIST_TO_TUPLE LOAD_CLASSDEREF PREP_RERAISE_STAR"),
        (_FIRST, (3, 11), "LOAD_METHOD PRINT_EXPR UNARY_POSITIVE"),
        (_FIRST, (3, 12), "FORMAT_VALUE LOAD_CLOSURE"),
        (_FIRST, (3, 13), "BEFORE_ASYNC_WITH BEFORE_WITH BINARY_SUBSCR BUILD_CONST_KEY_MAP LOAD_ASSERTION_ERROR"),
        (_FIRST, (3, 14), "GET_YIELD_FROM_ITER"),
        ((3, 12), _LAST, "BINARY_SLICE CALL_INTRINSIC_1 CALL_INTRINSIC_2 END_FOR END_SEND STORE_SLICE"),
        ((3, 12), _LAST, "LOAD_FAST_AND_CLEAR LOAD_FAST_CHECK LOAD_LOCALS LOAD_SUPER_ATTR"),
        ((3, 12), _LAST, "LOAD_FROM_DICT_OR_DEREF LOAD_FROM_DICT_OR_GLOBALS"),
        ((3, 13), _LAST, "CONVERT_VALUE FORMAT_SIMPLE FORMAT_WITH_SPEC TO_BOOL"),
        ((3, 13), _LAST, "LOAD_FAST_LOAD_FAST STORE_FAST_LOAD_FAST STORE_FAST_STORE_FAST SET_FUNCTION_ATTRIBUTE"),
        ((3, 14), _LAST, "BUILD_INTERPOLATION BUILD_TEMPLATE LOAD_COMMON_CONSTANT LOAD_SMALL_INT LOAD_SPECIAL"),
        ((3, 14), _LAST, "LOAD_FAST_BORROW LOAD_FAST_BORROW_LOAD_FAST_BORROW NOT_TAKEN POP_ITER"),
    ),
    OpcodeKind.JUMP: ((_FIRST, _LAST, "JUMP_BACKWARD JUMP_BACKWARD_NO_INTERRUPT JUMP_FORWARD"),),
    OpcodeKind.BRANCH: (
        (_FIRST, _LAST, "FOR_ITER SEND"),
        (_FIRST, (3, 11), "JUMP_IF_FALSE_OR_POP JUMP_IF_TRUE_OR_POP"),
        (_FIRST, (3, 11), "POP_JUMP_BACKWARD_IF_FALSE POP_JUMP_BACKWARD_IF_TRUE"),
        (_FIRST, (3, 11), "POP_JUMP_BACKWARD_IF_NONE POP_JUMP_BACKWARD_IF_NOT_NONE"),
        (_FIRST, (3, 11), "POP_JUMP_FORWARD_IF_FALSE POP_JUMP_FORWARD_IF_TRUE"),
        (_FIRST, (3, 11), "POP_JUMP_FORWARD_IF_NONE POP_JUMP_FORWARD_IF_NOT_NONE"),
        ((3, 12), _LAST, "POP_JUMP_IF_FALSE POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE POP_JUMP_IF_TRUE"),
    ),
    OpcodeKind.CALL: (
        (_FIRST, _LAST, "CALL CALL_FUNCTION_EX"),
        ((3, 13), _LAST, "CALL_KW"),
    ),
    OpcodeKind.PART_OF_CALL: (
        (_FIRST, (3, 11), "PRECALL"),
        (_FIRST, (3, 12), "KW_NAMES"),
    ),
    OpcodeKind.RETURN: (
        (_FIRST, _LAST, "RETURN_VALUE"),
        ((3, 12), (3, 13), "RETURN_CONST"),
    ),
    OpcodeKind.YIELD: ((_FIRST, _LAST, "YIELD_VALUE"),),
    OpcodeKind.ENTER: ((_FIRST, _LAST, "RESUME RETURN_GENERATOR"),),
    OpcodeKind.RAISE: ((_FIRST, _LAST, "RAISE_VARARGS RERAISE"),),
    OpcodeKind.MAY_RERAISE: (
        (_FIRST, _LAST, "END_ASYNC_FOR"),
        ((3, 12), _LAST, "CLEANUP_THROW"),
    ),
    OpcodeKind.PREFIX: ((_FIRST, _LAST, "EXTENDED_ARG"),),
    OpcodeKind.CACHE: ((_FIRST, _LAST, "CACHE"),),
    OpcodeKind.INTERNAL: (
        ((3, 12), _LAST, "INTERPRETER_EXIT RESERVED"),
        ((3, 13), _LAST, "ENTER_EXECUTOR EXIT_INIT_CHECK"),
        ((3, 15), _LAST, "TRACE_RECORD"),
        ((3, 12), _LAST, "INSTRUMENTED_CALL INSTRUMENTED_CALL_FUNCTION_EX INSTRUMENTED_LOAD_SUPER_ATTR"),
        ((3, 12), _LAST, "INSTRUMENTED_END_FOR INSTRUMENTED_END_SEND INSTRUMENTED_FOR_ITER"),
        ((3, 12), _LAST, "INSTRUMENTED_INSTRUCTION INSTRUMENTED_LINE INSTRUMENTED_RESUME"),
        ((3, 12), _LAST, "INSTRUMENTED_JUMP_BACKWARD INSTRUMENTED_JUMP_FORWARD"),
        ((3, 12), _LAST, "INSTRUMENTED_POP_JUMP_IF_FALSE INSTRUMENTED_POP_JUMP_IF_TRUE"),
        ((3, 12), _LAST, "INSTRUMENTED_POP_JUMP_IF_NONE INSTRUMENTED_POP_JUMP_IF_NOT_NONE"),
        ((3, 12), _LAST, "INSTRUMENTED_RETURN_VALUE INSTRUMENTED_YIELD_VALUE"),
        ((3, 12), (3, 13), "INSTRUMENTED_RETURN_CONST"),
        ((3, 13), _LAST, "INSTRUMENTED_CALL_KW"),
        ((3, 14), _LAST, "INSTRUMENTED_END_ASYNC_FOR INSTRUMENTED_NOT_TAKEN INSTRUMENTED_POP_ITER"),
    ),
    OpcodeKind.PSEUDO: (
        ((3, 12), _LAST, "JUMP JUMP_NO_INTERRUPT POP_BLOCK STORE_FAST_MAYBE_NULL"),
        ((3, 13), _LAST, "LOAD_CLOSURE"),
        ((3, 12), _LAST, "SETUP_CLEANUP SETUP_FINALLY SETUP_WITH"),
        ((3, 12), (3, 13), "LOAD_METHOD LOAD_SUPER_METHOD LOAD_ZERO_SUPER_ATTR LOAD_ZERO_SUPER_METHOD"),
        ((3, 14), _LAST, "ANNOTATIONS_PLACEHOLDER JUMP_IF_FALSE JUMP_IF_TRUE"),
    ),
}


_ALL_NAMES: set[str] = set()
for _rows in TABLE.values():
    for *_, _names in _rows:
        _ALL_NAMES.update(_names.split())


def opcodes(*names: str) -> frozenset[int]:
    """Return the opcodes called *names* that this version has; raise ValueError if the table lacks a name."""
    if not _ALL_NAMES.issuperset(names):
        raise ValueError(f"the table of opcodes lacks {', '.join(name for name in names if name not in _ALL_NAMES)}")
    return frozenset([OPCODES[name] for name in names if name in OPCODES])


def opcode_called(name: str) -> int:
    """Return the opcode called *name*, or -1 if this version lacks it; raise ValueError if the table lacks the name."""
    if name not in _ALL_NAMES:
        raise ValueError(f"the table of opcodes lacks {name}")
    return OPCODES.get(name, -1)


def _opcodes_of(*kinds: str) -> frozenset[int]:
    """Return the opcodes of *kinds* that this version has."""
    return opcodes(*[name for kind in kinds for *_, names in TABLE[kind] for name in names.split()])


def flags_of(opcodes: Iterable[int]) -> bytes:
    """Return a table for `bytes.translate`: one at each of *opcodes*, else zero."""
    flags = bytearray(256)
    for op in opcodes:
        if op >= 0:
            flags[op] = 1
    return bytes(flags)


#: By opcode: whether the table lacks it. Code with such an opcode is not rewritten: it might be a jump, or have caches.
IS_UNKNOWN = flags_of(
    set(range(256)) - _opcodes_of(*[kind for kind in TABLE if kind not in (OpcodeKind.INTERNAL, OpcodeKind.PSEUDO)])
)


def _cache_units() -> list[int]:
    """Return the number of inline cache units that follow each opcode."""
    entries = opcode._inline_cache_entries  # type: ignore[attr-defined]
    if hasattr(entries, "get"):  # a dict by name since 3.13, a list before
        return [entries.get(OPNAMES[op], 0) for op in range(256)]
    return list(entries) + [0] * (256 - len(entries))


#: The number of inline cache units that follow each opcode.
CACHES = _cache_units()

# Single opcodes; -1 where this version lacks one.
BINARY_OP = opcode_called("BINARY_OP")
CACHE = opcode_called("CACHE")
CALL = opcode_called("CALL")
CALL_FUNCTION_EX = opcode_called("CALL_FUNCTION_EX")
CALL_KW = opcode_called("CALL_KW")
DELETE_FAST = opcode_called("DELETE_FAST")
END_ASYNC_FOR = opcode_called("END_ASYNC_FOR")
EXTENDED_ARG = opcode_called("EXTENDED_ARG")
FOR_ITER = opcode_called("FOR_ITER")
IMPORT_FROM = opcode_called("IMPORT_FROM")
JUMP_BACKWARD = opcode_called("JUMP_BACKWARD")
JUMP_BACKWARD_NO_INTERRUPT = opcode_called("JUMP_BACKWARD_NO_INTERRUPT")
JUMP_FORWARD = opcode_called("JUMP_FORWARD")
KW_NAMES = opcode_called("KW_NAMES")
LOAD_ATTR = opcode_called("LOAD_ATTR")
LOAD_CONST = opcode_called("LOAD_CONST")
LOAD_FAST = opcode_called("LOAD_FAST")
LOAD_GLOBAL = opcode_called("LOAD_GLOBAL")
NOT_TAKEN = opcode_called("NOT_TAKEN")  # follows each conditional jump, for sys.monitoring
POP_EXCEPT = opcode_called("POP_EXCEPT")
POP_TOP = opcode_called("POP_TOP")
POP_ITER = opcode_called("POP_ITER")  # an exhausted FOR_ITER goes on to it, to drop the iterator
PUSH_NULL = opcode_called("PUSH_NULL")
RERAISE = opcode_called("RERAISE")
RESUME = opcode_called("RESUME")
RETURN_GENERATOR = opcode_called("RETURN_GENERATOR")
SEND = opcode_called("SEND")
STORE_ATTR = opcode_called("STORE_ATTR")
STORE_FAST = opcode_called("STORE_FAST")
SWAP = opcode_called("SWAP")
YIELD_VALUE = opcode_called("YIELD_VALUE")

# Sets that follow from the kinds.
UNCONDITIONAL_JUMPS = _opcodes_of(OpcodeKind.JUMP)
JUMPS = _opcodes_of(OpcodeKind.JUMP, OpcodeKind.BRANCH)
RETURNS = _opcodes_of(OpcodeKind.RETURN)
RAISES = _opcodes_of(OpcodeKind.RAISE)
MAY_RERAISE = _opcodes_of(OpcodeKind.MAY_RERAISE)
PARTS_OF_CALL = _opcodes_of(OpcodeKind.PART_OF_CALL)
#: Opcodes whose argument is the distance to an instruction that control does not go to.
REFERENCES = frozenset((END_ASYNC_FOR,)) if END_ASYNC_FOR_NAMES_ITS_SEND else frozenset()
#: Jumps and references whose argument is a distance upwards.
BACKWARD = frozenset(op for op in JUMPS if "BACKWARD" in OPNAMES[op]) | REFERENCES

# Sets that say something other than a kind.
#: Calls whose argument is the number of arguments.
COUNTED_CALLS = opcodes("CALL", "CALL_KW")
#: Opcodes that push the value of a name, and by how many bits their argument is shifted to make room for flags.
NAME_SHIFTS = {
    opcode_called("LOAD_NAME"): 0,
    LOAD_GLOBAL: 1,
    LOAD_ATTR: LOAD_ATTR_SHIFT,
    opcode_called("LOAD_METHOD"): 0,
}
#: Opcodes that store to, or load from, one local variable of the function or of a function around it.
STORES_TO_VARIABLE = opcodes("STORE_FAST", "STORE_DEREF")
ACCESSES_TO_VARIABLE = STORES_TO_VARIABLE | opcodes(
    *("LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW", "LOAD_FAST_AND_CLEAR", "LOAD_DEREF"),
)
STORES_TO_NAME = opcodes("STORE_NAME", "STORE_GLOBAL", "STORE_ATTR")
#: Opcodes that may stand between the instruction that pushes a callable and the instructions that push its arguments.
PUSHES_NO_CALLABLE = opcodes("PUSH_NULL", "NOP", "NOT_TAKEN")
#: Opcodes at the place where control goes when the iterator of a `for` is exhausted.
ENDS_LOOP = opcodes("END_FOR", "POP_TOP", "POP_ITER")
#: Opcodes that an exhausted FOR_ITER skips, in this order, if they are at its target.
SKIPPED = tuple(map(opcode_called, SKIPPED_AT_EXHAUSTION))
#: Opcodes that never start a line in instrumentation.c: initialize_lines.
NEVER_START_A_LINE = opcodes("RESUME", "END_FOR", "END_SEND", "END_ASYNC_FOR") | (
    opcodes("POP_ITER") if POP_ITER_STARTS_NO_LINE else frozenset()
)
#: Opcodes whose exceptions are often caught.
OFTEN_RAISE = opcodes(
    *("CALL", "CALL_KW", "CALL_FUNCTION_EX", "BINARY_SUBSCR", "DELETE_SUBSCR", "FOR_ITER", "IMPORT_NAME"),
    *("LOAD_ATTR", "UNPACK_SEQUENCE"),
)
#: Instructions that only move local variables to and from the stack.
MOVES_OF_LOCALS = opcodes(
    *("LOAD_FAST", "LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_BORROW_LOAD_FAST_BORROW"),
    *("STORE_FAST", "STORE_FAST_LOAD_FAST", "STORE_FAST_STORE_FAST"),
)
#: Conditional jumps upwards, by which one downwards with the opposite condition they are replaced.
OPPOSITE_BRANCHES = {
    opcode_called(f"POP_JUMP_BACKWARD_IF_{one}"): opcode_called(f"POP_JUMP_FORWARD_IF_{other}")
    for one, other in (("TRUE", "FALSE"), ("FALSE", "TRUE"), ("NONE", "NOT_NONE"), ("NOT_NONE", "NONE"))
}
OPPOSITE_BRANCHES.pop(-1, None)
