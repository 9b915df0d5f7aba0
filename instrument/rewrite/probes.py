"""The instructions that rewriting adds: probes, the bodies of exit stubs, and the code around calls.

Indices in `co_consts` and `co_names` come in; code units go out, as they stand in `co_code`.

A counter is an `itertools.repeat` that never ends in practice. FOR_ITER over it is one decrement in C: no call, no
allocation, no lock. It never raises, never checks for interrupts, and never takes its jump. The instruction that must
stand at the target of an exhausted FOR_ITER differs by version; where possible it also pops the counter.

Decision: a counter that is loaded and popped for each count.
    Problem: a probe stands on the hot path, so each of its instructions costs time in each turn.
    Solution: LOAD_CONST, FOR_ITER, and whatever pops counter and None on the version.
    Alternatives, all measured:
    - An iterator that is exhausted by each step, so that FOR_ITER pops it. The best one is `compress(counter,
      exhausted)`, with two calls more. It takes 9.3 ns instead of 9.6 on 3.11, but 9.8 instead of 7.7 on 3.12, and
      11.3 instead of 10.3 on 3.13. It is a second object for each counter. `zip` and `map` cost more still.
    - Counter and None stay on the stack until the frame ends, in code that runs once a call. The frame has to drop them
      then. An empty function takes 5.8 ns instead of 6.4 on 3.11, 6.9 instead of 5.0 on 3.12, 5.5 instead of 6.3 on
      3.13, and 7.5 instead of 7.9 on 3.14.
    - SEND in place of FOR_ITER: 11.1 ns instead of 4.6 on 3.12, 8.3 instead of 6.4 on 3.14, and 12.2 instead of 7.8 on
      3.15.
    - CONTAINS_OP, which looks for None in the counter and so takes one step: 14 to 21 ns.
    - A counter that stays on the stack while a `while` loop turns: 3.3 ns a turn instead of 6.2 on 3.11, and 5.3
      instead of 8.0 on 3.15. It is not built, because all depths, exits and stubs within the loop would change for a
      small part of all probes.

Decision: exits are recorded by a subscript of one dictionary for each session.
    Problem: an exception must be counted by the instruction that raised it, and few exceptions are ever raised.
    Solution: `records[place + first key]` makes the counter on its first use (`record_exit`). A loop that raises and
    catches in each turn takes 1.32 times as long on 3.11, and 1.78 times on 3.14.
    Alternatives: a dictionary for each exit takes 1.19 and 1.55 times as long, but more memory. A plain probe takes
    1.08 and 1.10 times as long; it is used where exceptions are likely (flow.placement: EXITING). To check first
    whether there is a counter takes 200 machine instructions more for each exit.
"""

from __future__ import annotations

from instrument.decode.opcodes import CACHES, EXTENDED_ARG, LOAD_CONST, OPCODES
from instrument.decode.versions import (
    ADVANCE_AND_DROP,
    CALL_NEEDS_PRECALL,
    CALLABLE_IS_BELOW_NULL,
    COLLECTS_ANYWHERE,
    LASTI_IS_AN_INT,
    RESUME_OUTSIDE_TRY,
    STAR_CALL_PUSHES_KEYWORDS,
    SUBSCRIPT_BINARY_OP,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Row = tuple[str, int]

#: The number of stack entries that a probe, or the body of an exit stub, needs above those of the code around it.
STACK_OF_PROBE = 6

_ADD = 0  # NB_ADD
_SUBSCRIPT = ("BINARY_SUBSCR", 0) if SUBSCRIPT_BINARY_OP < 0 else ("BINARY_OP", SUBSCRIPT_BINARY_OP)


def encode(op: int, arg: int = 0, n_prefixes: int = 0) -> bytes:
    """Return the code units of *op* with *arg*: prefixes, as many as *arg* needs and at least *n_prefixes*; caches."""
    units = bytes((op, arg & 0xFF)) + bytes(2 * CACHES[op])
    while (arg := arg >> 8) or n_prefixes > 0:
        units = bytes((EXTENDED_ARG, arg & 0xFF)) + units
        n_prefixes -= 1
    return units


class _LoadsOfConstants(dict[int, bytes]):
    """The LOAD_CONST of each index in `co_consts`, encoded when it is first needed."""

    def __missing__(self, constant: int) -> bytes:
        self[constant] = units = encode(LOAD_CONST, constant)
        return units


_load = _LoadsOfConstants().__getitem__


def instruction(name: str, arg: int = 0) -> bytes:
    """Return the code units of the instruction *name* with *arg*."""
    return encode(OPCODES[name], arg)


def _assemble(rows: Iterable[Row]) -> bytes:
    return b"".join(instruction(name, arg) for name, arg in rows)


_COPY_2, _COPY_3 = instruction("COPY", 2), instruction("COPY", 3)
_NOP = instruction("NOP")
_POP, _GET_ITER, _STORE_ITEM = instruction("POP_TOP"), instruction("GET_ITER"), instruction("STORE_SUBSCR")
_POP_2 = _POP + _POP
_ADD_UP, _GET_ITEM = instruction("BINARY_OP", _ADD), instruction(*_SUBSCRIPT)
#: The code units of a probe, without the LOAD_CONST of its counter at the beginning.
ADVANCE = _assemble((name, 0) for name in ADVANCE_AND_DROP)


def probe(counter: int) -> bytes:
    """Return the instructions that move on the counter at the index *counter* of `co_consts`."""
    return _load(counter) + ADVANCE


def record_exit(exits: int, base: int, traceback_of: int, tb_lasti: int, range_of_counts: int) -> bytes:
    """Return the instructions that count an exit in the records at *exits*, by the place that raised plus *base*.

    The stack is that of a handler that lasti is pushed for: … lasti exception. All parameters are indices: *tb_lasti*
    in `co_names`, the others in `co_consts`. *traceback_of* and *tb_lasti* are used from 3.14 on only,
    *range_of_counts* on 3.11 only.
    """
    if COLLECTS_ANYWHERE:
        return _record_exit_untracked(exits, base, range_of_counts)
    if LASTI_IS_AN_INT:
        #                                                       stack: … lasti exception
        place = _COPY_3  #                                      stack: … lasti exception exits lasti
    else:
        place = (
            _load(traceback_of)  #                              stack: … lasti exception exits traceback_of
            + _COPY_3  #                                        stack: … lasti exception exits traceback_of exception
            + _GET_ITEM  #                                      stack: … lasti exception exits traceback
            + instruction("LOAD_ATTR", tb_lasti << 1)  #        stack: … lasti exception exits tb_lasti
        )
    #                                                           after _load(base): … lasti exception exits place base
    return _load(exits) + place + _load(base) + _ADD_UP + _GET_ITEM + ADVANCE


def _record_exit_untracked(exits: int, base: int, range_of_counts: int) -> bytes:
    """Return the instructions of `record_exit` for 3.11, which make no object that the garbage collector tracks.

    Problem: on 3.11 a collection may start in the middle of an instruction, when a tracked object is made. A finalizer,
    or another thread, may then exit at the same place for the first time. If the dictionary makes the counter, it
    replaces the counter of that exit.
    Solution: for a missing key the records return `range(key)`, which is empty, since keys are below zero. The counter
    is then made from the range at *range_of_counts*. Nothing else runs between the lookup and the store.
    """
    count = (
        _load(exits)  #                                         stack: … key exits
        + _COPY_2  #                                            stack: … key exits key
        + _GET_ITEM  #                                          stack: … key counter
        + _GET_ITER  #                                          stack: … key counter
    )
    make = (
        _load(range_of_counts)  #                               stack: … key range
        + _GET_ITER  #                                          stack: … key counter
        + _load(exits)  #                                       stack: … key counter exits
        + _COPY_3  #                                            stack: … key counter exits key
        + _STORE_ITEM  #                                        stack: … key
        + count
        + instruction("FOR_ITER", 0)  #                         stack: … key counter number
        + _POP_2  #                                             stack: … key
    )
    skip = jump_over(len(make) // 2)
    return (
        _COPY_2  #                                              stack: … lasti exception lasti
        + _load(base)  #                                        stack: … lasti exception lasti base
        + _ADD_UP  #                                            stack: … lasti exception key
        + count
        #                                                       stack: … key counter number, or without a counter: … key
        + instruction("FOR_ITER", (len(_POP_2) + len(skip)) // 2)
        + _POP_2  #                                             stack: … key
        + skip
        + make
        + _POP
    )


def record_exit_late(late: int, base: int, traceback: int, tb_lasti: int) -> bytes:
    """Return the instructions that append the key of an exit to the list at *late*, if `record_exit` has failed.

    At the recursion limit every call in C fails. `record_exit` calls to make a counter and to compare equal keys, and
    from 3.14 on to read the traceback. LIST_APPEND makes no call. From 3.14 on, *traceback* is the index of
    `__traceback__` in `co_names`; an exception whose class redefines that name may be lost here.

    The stack is … lasti exception error at the beginning, and one entry above the exception at the end. That is
    also so if these instructions raise a MemoryError.
    """
    if LASTI_IS_AN_INT:
        place = _COPY_3  #                                      stack: … lasti exception late lasti
    else:
        place = (
            _COPY_2  #                                          stack: … lasti exception late exception
            + instruction("LOAD_ATTR", traceback << 1)  #       stack: … lasti exception late traceback
            + instruction("LOAD_ATTR", tb_lasti << 1)  #        stack: … lasti exception late tb_lasti
        )
    return (
        _POP  #                                                 stack: … lasti exception
        + _load(late)  #                                        stack: … lasti exception late
        + place
        + _load(base)  #                                        stack: … lasti exception late place base
        + _ADD_UP  #                                            stack: … lasti exception late key
        + instruction("LIST_APPEND", 1)  #                      stack: … lasti exception late
    )


def call(function: int, exception: bool = False) -> bytes:
    """Return the instructions that call the constant at *function*, without arguments, and drop the result.

    With *exception*, the argument is the exception on top of the stack, which stays there.
    """
    push = [("PUSH_NULL", 0), ("LOAD_CONST", function)]
    if CALLABLE_IS_BELOW_NULL:
        push.reverse()
    rows: list[Row] = [*push]  #                                stack: … exception NULL function
    if exception:
        rows.append(("COPY", 3))  #                             stack: … exception NULL function exception
    if CALL_NEEDS_PRECALL:
        rows.append(("PRECALL", int(exception)))
    return _assemble([*rows, ("CALL", int(exception)), ("POP_TOP", 0)])


def argument_of_resume(argument: int) -> int:
    """Return *argument*, that of a RESUME, without the bit that lets generators end without an exception.

    Placements that call must see generators end.
    """
    return argument & ~RESUME_OUTSIDE_TRY


def resume(argument: int) -> bytes:
    """Return a RESUME for placements that call."""
    return instruction("RESUME", argument_of_resume(argument))


def check_if_inlined(n_arguments: int, was_inlined: int) -> bytes:
    """Return the instructions that ask, before a call on 3.12, whether the interpreter will inline it.

    The answer of the WasInlined at the index *was_inlined* of `co_consts` stays below the operands of the call.
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
    """Return the instructions behind such a call: a condition, and the probe *counter* that is passed if inlined."""
    #                                                           stack: … answer result
    return _assemble([("SWAP", 2), ("POP_JUMP_IF_FALSE", len(counter) // 2)]), counter


def exchange_exec_argument(n_arguments: int, namespace: int, has_keywords: bool, exchange_code: int) -> bytes:
    """Return the instructions that exchange, before a call of an executor, its first argument for live code.

    The constant at *exchange_code* gets the callable, the argument, and the argument numbered *namespace*; if that is
    0, the callable again. It is called by a subscript, which raises no event of a call. It has returned before the
    call, so no frame of this package is on the stack while the program's code runs.
    """
    above = n_arguments + has_keywords
    rows: list[Row] = [
        ("LOAD_CONST", exchange_code),  #                       stack: … callable first … names exchange
        ("COPY", above + (3 if CALLABLE_IS_BELOW_NULL else 2)),  #  stack: … exchange callable
        ("COPY", above + 2),  #                                 stack: … exchange callable first
        ("COPY", above + 4 - namespace if namespace else 2),  # without a namespace, the callable stands in for it
        ("BUILD_TUPLE", 3),
        _SUBSCRIPT,  #                                          stack: … callable first … names new
        ("SWAP", above + 1),
        ("POP_TOP", 0),
    ]
    return _assemble(rows)


def exchange_exec_arguments(has_keywords: bool, exchange_code: int) -> bytes:
    """Return the instructions that exchange the first argument of `executor(*arguments)` for live code.

    The constant at *exchange_code* gets the callable and the tuple of arguments, and returns a new tuple.
    """
    above = int(has_keywords or STAR_CALL_PUSHES_KEYWORDS)
    rows: list[Row] = [
        ("LOAD_CONST", exchange_code),  #                       stack: … callable arguments names exchange
        ("COPY", above + (4 if CALLABLE_IS_BELOW_NULL else 3)),  #  stack: … exchange callable
        ("COPY", above + 3),  #                                 stack: … exchange callable arguments
        ("BUILD_TUPLE", 2),
        _SUBSCRIPT,  #                                          stack: … callable arguments names new
        ("SWAP", above + 2),
        ("POP_TOP", 0),
    ]
    return _assemble(rows)


def drop_lasti() -> bytes:
    """Return the instructions that remove lasti from below the exception, for a handler that does not want it."""
    return _assemble([("SWAP", 2), ("POP_TOP", 0)])


def pop() -> bytes:
    """Return the instruction that drops the top of the stack."""
    return _POP


def nop() -> bytes:
    """Return an instruction that does nothing."""
    return _NOP


def jump_back(n_units: int) -> bytes:
    """Return a jump back over the last *n_units* code units that checks for no interrupt."""
    op = OPCODES["JUMP_BACKWARD_NO_INTERRUPT"]
    return encode(op, n_units + 1 + CACHES[op])


def jump_over(n_units: int) -> bytes:
    """Return a jump over the next *n_units* code units."""
    return instruction("JUMP_FORWARD", n_units)


def reraise() -> bytes:
    """Return the instruction that raises the exception again with its place and line, without a traceback entry."""
    return instruction("RERAISE", 1)
