"""Every instruction that we ever add.

What goes in are the places of counters in `co_consts`; what comes out are code units, as they stand in `co_code`. This
is one of the two rooms that compare version numbers (the other is `flow.lines`).

A counter is an `itertools.repeat` that never ends; FOR_ITER over it is one C decrement: no call, no allocation, no
lock. It never raises, never looks for interrupts, and never takes its jump. Where an exhausted FOR_ITER would go
differs by version, and the cheapest shape is the one in which the instruction that must stand there also does our
popping.

Tried, and slower: an iterator that counts and ends each time, so that FOR_ITER pops it and nothing else has to. The
best there is, `compress(counter, exhausted)`, is two calls more: per probe 9.3 ns instead of 9.6 on 3.11, but 9.8
instead of 7.7 on 3.12, 11.3 instead of 10.3 on 3.13, and it is a second object for each counter. `zip` and `map` cost
more still.

Tried, and not worth it: to leave counter and None on the stack for the frame to drop when it ends, in code that is
executed once in each call. It saves the popping, but for the frame it is no less work: per call of an empty function
5.8 ns instead of 6.4 on 3.11, 6.9 instead of 5.0 on 3.12, 5.5 instead of 6.3 on 3.13, 7.5 instead of 7.9 on 3.14. Each
NOP takes 0.9 to 1 ns there, so what is left is four of these and one call in C.

Tried, and slower: SEND instead of FOR_ITER, 11.1 ns instead of 4.6 on 3.12, 8.3 instead of 6.4 on 3.14, 12.2 instead of
7.8 on 3.15; and to look for None in the counter, which takes one step, by CONTAINS_OP: 14 to 21 ns.

Not built: a counter that stays on the stack while a `while` loop turns. Per turn 3.3 ns instead of 6.2 on 3.11,
3.5 instead of 4.8 on 3.12, 3.9 instead of 6.1 on 3.13, 3.6 instead of 6.4 on 3.14, 5.3 instead of 8.0 on 3.15, where
nothing else is on the stack at that point; but within the loop all depths of the exception table, all ways out and all
stubs would be others, for what is a small part of all probes that are passed.
"""

from __future__ import annotations

import sys
from types import FunctionType, MethodDescriptorType, MethodType

from instrument.decode.opcodes import CACHES, EXTENDED_ARG, OPCODES
from instrument.decode.versions import PLACES_ARE_OF_TRACEBACK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Row = tuple[str, int]

VERSION = sys.version_info[:2]
#: How many stack entries a probe, or the body of an exit stub, needs above those of the code around it.
STACK_OF_PROBE = 6
#: Up to 3.13 the interpreter pushes lasti as an int. From 3.14 on it is a tagged integer, which must not be copied into
#: Python objects; the traceback's newest entry, which is this frame's, says the same.
LASTI_IS_AN_INT = not PLACES_ARE_OF_TRACEBACK
#: Whether what a dictionary makes for a missing key may start a garbage collection (`record_exit`).
COLLECTS_ANYWHERE = VERSION == (3, 11)
#: What the records of exits are keyed by is this many times the place in code units: tb_lasti counts bytes.
UNITS_TO_KEYS = 1 if LASTI_IS_AN_INT else 2
SUPPORTED = (3, 11) <= VERSION <= (3, 15)

_LOAD_CONST = OPCODES["LOAD_CONST"]
_ADD = 0  # NB_ADD
_SUBSCRIPT = ("BINARY_SUBSCR", 0) if VERSION <= (3, 13) else ("BINARY_OP", 26)  # 26: NB_SUBSCR


class TracebackOf:
    """`TracebackOf()[exception]` is `exception.__traceback__`, whatever its class has made of that name.

    The slot is C to C: no Python frame runs, and unlike CALL a subscript does not look for interrupts.
    """

    __slots__ = ()
    __getitem__ = BaseException.__dict__["__traceback__"].__get__

    def __reduce__(self) -> tuple[type[TracebackOf], tuple[()]]:  # not by way of copyreg, which the program may use too
        return TracebackOf, ()


def encode(op: int, arg: int = 0, n_prefixes: int = 0) -> bytes:
    """Return the units of an instruction: EXTENDED_ARGs, as many as *arg* takes, or *n_prefixes*; *op*; caches."""
    units = bytes((op, arg & 0xFF)) + bytes(2 * CACHES[op])
    while (arg := arg >> 8) or n_prefixes > 0:
        units = bytes((EXTENDED_ARG, arg & 0xFF)) + units
        n_prefixes -= 1
    return units


def instruction(name: str, arg: int = 0) -> bytes:
    """Return the code units of the instruction *name*."""
    return encode(OPCODES[name], arg)


def _assemble(rows: Iterable[Row]) -> bytes:
    return b"".join(instruction(name, arg) for name, arg in rows)


def _advance() -> list[Row]:
    """Return the rows that move the counter on top of the stack on by one, and drop it."""
    if VERSION == (3, 11):
        #                                                       stack: … counter
        return [
            ("FOR_ITER", 0),  #                                 stack: … counter None   the counter has moved on by one
            ("POP_TOP", 0),  #                                  stack: … counter
            ("POP_TOP", 0),  #                                  stack: …
        ]
    if VERSION == (3, 12):
        return [("FOR_ITER", 0), ("END_FOR", 0)]  #             END_FOR pops both
    if VERSION == (3, 13):
        return [("FOR_ITER", 0), ("END_FOR", 0), ("POP_TOP", 0)]
    if VERSION == (3, 14):
        return [("FOR_ITER", 0), ("END_FOR", 0), ("POP_ITER", 0)]
    return [
        ("PUSH_NULL", 0),  #                                    stack: … counter NULL   3.15 iterates over two entries
        ("FOR_ITER", 0),  #                                     stack: … counter NULL None
        ("END_FOR", 0),  #                                      stack: … counter NULL
        ("POP_ITER", 0),  #                                     stack: …
    ]


#: The code units of a probe behind the LOAD_CONST of its counter.
ADVANCE = _assemble(_advance())


def probe(counter: int) -> bytes:
    """Return the instructions that count one: *counter* is the place of the counter in `co_consts`."""
    return encode(_LOAD_CONST, counter) + ADVANCE


def record_exit(exits: int, base: int, traceback_of: int, tb_lasti: int, range_of_counts: int) -> bytes:
    """Return the instructions that count one exit in the records at *exits*, under the place that it was raised at,
    added to the number at *base*.

    The stack is that of a handler that lasti is pushed for: … lasti exception. *exits*, *base*, *traceback_of* and
    *range_of_counts* are places in `co_consts`, *tb_lasti* that of the name in `co_names`. *traceback_of* and
    *tb_lasti* matter from 3.14 on only, *range_of_counts* on 3.11 only.

    A loop that raises and catches each turn, to the plain one, on 3.11 and 3.14: 1.32 and 1.78 with this; 1.19 and 1.55
    with a dictionary for each exit and no *base*, which is not worth its memory; 1.08 and 1.10 with a plain probe,
    which is why few exits are recorded where exceptions are likely (flow.placement: EXITING). To ask first whether
    there is a counter takes 200 machine instructions more for each exit.
    """
    rows: list[Row]
    if COLLECTS_ANYWHERE:
        return _record_exit_untracked(exits, base, range_of_counts)
    if LASTI_IS_AN_INT:
        #                                                       stack: … lasti exception
        rows = [
            ("LOAD_CONST", exits),  #                           stack: … lasti exception exits
            ("COPY", 3),  #                                     stack: … lasti exception exits lasti
        ]
    else:
        rows = [
            ("LOAD_CONST", exits),  #                           stack: … lasti exception exits
            ("LOAD_CONST", traceback_of),  #                    stack: … lasti exception exits traceback_of
            ("COPY", 3),  #                                     stack: … lasti exception exits traceback_of exception
            _SUBSCRIPT,  #                                      stack: … lasti exception exits traceback
            ("LOAD_ATTR", tb_lasti << 1),  #                    stack: … lasti exception exits tb_lasti
        ]
    rows += [
        ("LOAD_CONST", base),  #                                stack: … lasti exception exits place base
        ("BINARY_OP", _ADD),  #                                 stack: … lasti exception exits key
        _SUBSCRIPT,  #                                          stack: … lasti exception counter
    ]
    return _assemble(rows) + ADVANCE


def _record_exit_untracked(exits: int, base: int, range_of_counts: int) -> bytes:
    """Return `record_exit` for 3.11, where objects that the garbage collector tracks may start a collection when they
    are made, in the middle of an instruction.

    What is finalized then, or another thread meanwhile, may exit at the same place for the first time. If the
    dictionary made the counter, that one's counter would be replaced. So what is made here is not tracked: for a key
    that is missing the records return `range(key)`, which is empty, for keys are below zero. Of the range at
    *range_of_counts* a counter is made then, and nothing comes between that and the look before.
    """
    count: list[Row] = [
        ("LOAD_CONST", exits),  #                               stack: … key exits
        ("COPY", 2),  #                                         stack: … key exits key
        _SUBSCRIPT,  #                                          stack: … key counter
        ("GET_ITER", 0),  #                                     stack: … key counter
    ]
    rest = _assemble(
        [
            ("POP_TOP", 0),  #                                  stack: … key counter
            ("POP_TOP", 0),  #                                  stack: … key
        ]
    )
    make = _assemble(
        [
            ("LOAD_CONST", range_of_counts),  #                 stack: … key range
            ("GET_ITER", 0),  #                                 stack: … key counter
            ("LOAD_CONST", exits),  #                           stack: … key counter exits
            ("COPY", 3),  #                                     stack: … key counter exits key
            ("STORE_SUBSCR", 0),  #                             stack: … key
            *count,
            ("FOR_ITER", 0),  #                                 stack: … key counter number
        ]
    )
    make += rest
    skip = instruction("JUMP_FORWARD", len(make) // 2)
    return (
        _assemble(
            [
                ("COPY", 2),  #                                 stack: … lasti exception lasti
                ("LOAD_CONST", base),  #                        stack: … lasti exception lasti base
                ("BINARY_OP", _ADD),  #                         stack: … lasti exception key
                *count,
                ("FOR_ITER", (len(rest) + len(skip)) // 2),  #  stack: … key counter number, or without a counter: … key
            ]
        )
        + rest
        + skip
        + make
        + pop()
    )


def record_exit_late(late: int, base: int, traceback: int, tb_lasti: int) -> bytes:
    """Return the instructions that follow when `record_exit` has failed: the key goes into the list at *late*, which
    those who read take as exits.

    At the recursion limit, all of `record_exit` that calls in C fails: to make a counter, to compare a key with an
    equal one, and to read the traceback from 3.14 on. LIST_APPEND does not call. From 3.14 on *traceback* is the place
    of the name `__traceback__` in `co_names`: an exception of a class that redefines it may be lost here.

    The stack is … lasti exception error, and … lasti exception something at the end: what a handler drops if this
    fails, too, for want of memory.
    """
    rows: list[Row] = [
        ("POP_TOP", 0),  #                                      stack: … lasti exception
        ("LOAD_CONST", late),  #                                stack: … lasti exception late
    ]
    if LASTI_IS_AN_INT:
        rows += [("COPY", 3)]  #                                stack: … lasti exception late lasti
    else:
        rows += [
            ("COPY", 2),  #                                     stack: … lasti exception late exception
            ("LOAD_ATTR", traceback << 1),  #                   stack: … lasti exception late traceback
            ("LOAD_ATTR", tb_lasti << 1),  #                    stack: … lasti exception late tb_lasti
        ]
    rows += [
        ("LOAD_CONST", base),  #                                stack: … lasti exception late place base
        ("BINARY_OP", _ADD),  #                                 stack: … lasti exception late key
        ("LIST_APPEND", 1),  #                                  stack: … lasti exception late
    ]
    return _assemble(rows)


def call(function: int, exception: bool = False) -> bytes:
    """Return the instructions that call the constant at *function*, with the *exception* on top of the stack if so
    asked.
    """
    push = [("PUSH_NULL", 0), ("LOAD_CONST", function)]
    if VERSION >= (3, 13):
        push.reverse()
    rows: list[Row] = [*push]  #                                stack: … exception NULL function
    if exception:
        rows.append(("COPY", 3))  #                             stack: … exception NULL function exception
    if VERSION == (3, 11):
        rows.append(("PRECALL", int(exception)))
    return _assemble([*rows, ("CALL", int(exception)), ("POP_TOP", 0)])


#: The bit of RESUME's argument that says that the yield above it is in no `try` block: closing the generator then does
#: not raise in it. While somebody traces it does (gh-140373; genobject.c: gen_close), so code in which calls are
#: listened to goes without.
_ENDS_UNSEEN = 0
if sys.version_info[:3] >= (3, 13, 10) and sys.version_info[:3] != (3, 14, 0):
    _ENDS_UNSEEN = 8 if VERSION >= (3, 15) else 4


def argument_of_resume(argument: int) -> int:
    """Return the *argument* of a RESUME that lets no generator end unseen."""
    return argument & ~_ENDS_UNSEEN


def resume(argument: int) -> bytes:
    """Return a RESUME for code in which calls are listened to."""
    return instruction("RESUME", argument_of_resume(argument))


def ask_whether_inlined(n_arguments: int, was_inlined: int) -> bytes:
    """Return what stands before a call of 3.12: keep, below the call's operands, whether the interpreter will inline
    it.

    *was_inlined* is the place of a WasInlined in `co_consts`.
    """
    #                                                           stack: … method callable arguments
    rows: list[Row] = [
        ("PUSH_NULL", 0),
        ("LOAD_CONST", was_inlined),
        ("COPY", n_arguments + 3),  #                           stack: … callable arguments NULL was_inlined callable
        ("CALL", 1),  #                                         stack: … callable arguments answer
    ]
    rows += [("SWAP", n) for n in range(n_arguments + 3, 1, -1)]  # stack: … answer method callable arguments
    return _assemble(rows)


def count_if_inlined(counter: bytes) -> tuple[bytes, bytes]:
    """Return what stands behind such a call, in two parts: *counter*, the probe, is passed only if it was inlined."""
    #                                                           stack: … answer result
    return _assemble([("SWAP", 2), ("POP_JUMP_IF_FALSE", len(counter) // 2)]), counter


def exchange_exec_argument(n_arguments: int, namespace: int, has_keywords: bool, exchange_code: int) -> bytes:
    """Return what stands before a call that takes code: let the constant at *exchange_code* exchange its first
    argument.

    It is given the callable, the argument, and the argument numbered *namespace* (the callable again if that is 0), and
    is done before the call: no frame of ours is on the stack while the program's code is executed. It is asked by a
    subscript, which raises no event of a call.
    """
    above = n_arguments + has_keywords
    rows: list[Row] = [
        ("LOAD_CONST", exchange_code),  #                             stack: … callable first … names prepare
        ("COPY", above + (3 if VERSION >= (3, 13) else 2)),  #  stack: … prepare callable
        ("COPY", above + 2),  #                                 stack: … prepare callable first
        ("COPY", above + 4 - namespace if namespace else 2),  # without a namespace, the callable stands in for it
        ("BUILD_TUPLE", 3),
        _SUBSCRIPT,  #                                          stack: … callable first … names new
        ("SWAP", above + 1),
        ("POP_TOP", 0),
    ]
    return _assemble(rows)


def exchange_exec_arguments(has_keywords: bool, exchange_code: int) -> bytes:
    """Return what stands before `f(*arguments)`: let the constant at *exchange_code* exchange the first of the
    arguments.

    It is given the callable and the arguments, and gives new arguments.
    """
    above = int(has_keywords or VERSION >= (3, 14))  #          3.14 pushes NULL for want of keywords
    rows: list[Row] = [
        ("LOAD_CONST", exchange_code),  #                             stack: … callable arguments names prepare
        ("COPY", above + (4 if VERSION >= (3, 13) else 3)),  #  stack: … prepare callable
        ("COPY", above + 3),  #                                 stack: … prepare callable arguments
        ("BUILD_TUPLE", 2),
        _SUBSCRIPT,  #                                          stack: … callable arguments names new
        ("SWAP", above + 2),
        ("POP_TOP", 0),
    ]
    return _assemble(rows)


class WasInlined:
    """Answers whether 3.12 inlines a call: that of a Python function, plain or bound.

    Of a call by a method's name the interpreter keeps either the method and the object or no method and what it found,
    and which of the two cannot be asked, so the object is looked at as the interpreter does.
    """

    __slots__ = ("method",)

    def __init__(self, method: str | None) -> None:
        self.method = method

    def __reduce__(self) -> tuple[type[WasInlined], tuple[str | None]]:
        return WasInlined, (self.method,)

    def __call__(self, thing: object) -> bool:
        if self.method is not None:
            for base in type.__dict__["__mro__"].__get__(type(thing)):
                namespace = _namespace_of(base)
                if self.method in namespace:
                    kind = type(namespace[self.method])
                    if kind in (FunctionType, MethodDescriptorType):
                        return kind is FunctionType
                    break
        if type(thing) is MethodType:
            thing = thing.__func__
        return type(thing) is FunctionType


_namespace_of = type.__dict__["__dict__"].__get__


def drop_lasti() -> bytes:
    """Return the instructions that take lasti from below the exception, for a handler that does not want it."""
    return _assemble([("SWAP", 2), ("POP_TOP", 0)])


def pop() -> bytes:
    """Return the instruction that drops the top of the stack."""
    return instruction("POP_TOP")


def nop() -> bytes:
    """Return an instruction that does nothing."""
    return instruction("NOP")


def go_on(n_units: int = 0) -> bytes:
    """Return a jump over the next *n_units* code units, which `sys.monitoring` reports as a jump."""
    return instruction("JUMP_FORWARD", n_units)


def raise_on() -> bytes:
    """Return the instruction that lets the exception leave as it came: same place, same line, no second traceback
    entry.
    """
    return instruction("RERAISE", 1)
