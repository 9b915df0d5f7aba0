"""Unlinked code: rewritten code, and the order and the classes of the constants that linking appends to it.

The rewriter gives an `Unlinked` its values; `link.unlinked_values` takes it apart. Its code object can be stored and
shared, for it holds no counter yet.

The numbers of probes, exit records and inlinable calls of a Plan come in; the index of each appended constant in
`co_consts` goes out (`ConstantLayout`). Linking passes the constants themselves and gets them in that order
(`in_order`). The order is:

    counters           one for each probe of the Plan; functions to call, if the placement calls
    first keys         one for each exit record of the Plan: the number that is added to the place of an exit; functions
                       to call, if the placement calls
    TracebackOf        gets the traceback of an exception
    late exits         a list: keys of exits that could not be counted when they were taken
    range of counts    the range whose iterators count exits on Python 3.11
    exchange           exchanges code that is passed to an executor
    WasInlined         one for each inlinable call of the Plan
    exit records       the counters of all exits of the session, by key
    first key          the first key of the code object

The last two have a fixed distance from the end. Live code is recognised by them (`link.linker.appended_constants`).
"""

from __future__ import annotations

from types import FunctionType, MethodDescriptorType, MethodType

from instrument.decode.versions import LASTI_IS_AN_INT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import CodeType
    from typing import TypeVar

    from instrument.flow.derived.code_facts import CodeFacts
    from instrument.flow.plan import Plan

    T = TypeVar("T")

#: Indices in the constants of live code, counted from the end.
EXIT_RECORDS = -2
FIRST_KEY = -1

#: Keys of exits count places in code units times this number: lasti counts code units, `tb_lasti` counts bytes.
UNITS_TO_KEYS = 1 if LASTI_IS_AN_INT else 2
#: TracebackOf, late exits, range of counts and exchange.
_N_SHARED = 4


class ConstantLayout:
    """The index of each appended constant in `co_consts`; of several of one kind, the index of the first.

    `n_constants` is the number of all constants, those of the original included.
    """

    __slots__ = (
        *("exchange", "exit_records", "first_counter", "first_exit", "first_was_inlined", "late_exits", "n_constants"),
        *("range_of_counts", "traceback_of"),
    )

    def __init__(self, n_originals: int, n_probes: int, n_exits: int, n_inlinable: int) -> None:
        self.first_counter = n_originals
        self.first_exit = self.first_counter + n_probes
        self.traceback_of = self.first_exit + n_exits
        self.late_exits = self.traceback_of + 1
        self.range_of_counts = self.traceback_of + 2
        self.exchange = self.traceback_of + 3
        self.first_was_inlined = self.traceback_of + _N_SHARED
        self.exit_records = self.first_was_inlined + n_inlinable
        self.n_constants = self.exit_records - EXIT_RECORDS


def layout_of(code: CodeType, plan: Plan) -> ConstantLayout:
    """Return the layout of the constants of live code that *code* and *plan* are rewritten and linked to."""
    return ConstantLayout(len(code.co_consts), len(plan.probes), len(plan.exits), len(plan.inlinable))


def in_order(
    originals: Iterable[T],
    counters: Iterable[T],
    first_keys: Iterable[T],
    shared: tuple[T, T, T, T],
    was_inlined: Iterable[T],
    exit_records: T,
    first_key: T,
) -> tuple[T, ...]:
    """Return all constants of live code in their order; *shared* is the result of `shared_constants`.

    The elements may be the constants themselves, or something that stands for them.
    """
    return *originals, *counters, *first_keys, *shared, *was_inlined, exit_records, first_key


def shared_constants(traceback_of: T, late_exits: T, range_of_counts: T, exchange: T) -> tuple[T, T, T, T]:
    """Return the constants that all code of one call of `link` shares, in their order."""
    return traceback_of, late_exits, range_of_counts, exchange


class TracebackOf:
    """`TracebackOf()[exception]` is the traceback of *exception*, even if its class redefines `__traceback__`.

    The subscript is C from end to end: no Python frame runs. Unlike CALL, a subscript does not check for interrupts.
    """

    __slots__ = ()
    __getitem__ = BaseException.__dict__["__traceback__"].__get__

    def __reduce__(self) -> tuple[type[TracebackOf], tuple[()]]:
        # The default would call functions of copyreg, which the program may count.
        return TracebackOf, ()


class WasInlined:
    """Returns, given the callable of a call, whether 3.12 inlines the call: that of a Python function, plain or bound.

    For a call by a method's name the interpreter keeps the method and its object, or NULL and the callable. The code
    cannot tell the two apart. So this class gets the object, or the callable, and looks up *method* in its classes, as
    the interpreter does.
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


class Unlinked:
    """Rewritten code with placeholders for its appended constants, and the values that linking and recovery need.

    - `code`: the code object; None stands for each appended constant (`in_order`).
    - `units`: where each of the *n_instructions* original instructions stands, in code units, ascending; then where
      each jump stands that the rewriter added.
    - `added_jumps`: for each of these jumps, the original instruction that it belongs to, or *n_instructions* + the
      number of the probe that stands above it.
    - `unfired`: for each probe, the code unit at which a trace function may raise before the probe counts. It is 0 if
      no trace function is called there.
    - `plan`: the Plan.
    - `inlinable`: for each inlinable call of the Plan, the name of the method that is called, or None.
    - `facts`: the CodeFacts of the original.
    """

    __slots__ = (
        *("added_jumps", "code", "facts", "inlinable", "n_exits", "n_instructions", "n_probes", "plan", "unfired"),
        "units",
    )

    def __init__(
        self,
        code: CodeType,
        plan: Plan,
        n_instructions: int,
        units: Sequence[int],
        added_jumps: Sequence[int],
        unfired: Sequence[int],
        facts: CodeFacts,
    ) -> None:
        self.code = code
        self.facts = facts
        self.plan = plan
        self.n_probes = len(plan.probes)
        self.n_exits = len(plan.exits)
        self.inlinable = tuple(plan.inlinable)
        self.n_instructions = n_instructions
        self.units = tuple(units)
        self.added_jumps = tuple(added_jumps)
        self.unfired = tuple(unfired)
