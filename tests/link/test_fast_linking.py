"""Sealed code comes out of the unpickler as linking would make it, constant by constant, and names nothing."""

import pickletools
import struct
import types

import pytest
from flow.codes import codes_of, codes_of_module
from hypothesis import given
from hypothesis import strategies as st
from strategies import programs

from instrument.flow import placement
from instrument.link.counters import (
    CodeGroup,
    ExitRecords,
    first_key_of,
    index_of_group,
    link,
    make_counters,
    nested_code,
    traceback_of,
    unlinked_values,
)
from instrument.link.fast_linking import compile_to_pickle, load_live_code
from instrument.rewrite import rewriter
from instrument.rewrite.probes import WasInlined

MODULES = ["ast", "asyncio.tasks", "dataclasses", "enum", "re._parser", "tarfile", "typing", "unittest.mock"]
NUMBER = 7
ATTRIBUTES = [
    *("co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_nlocals", "co_stacksize", "co_flags", "co_code"),
    *("co_names", "co_varnames", "co_filename", "co_name", "co_qualname", "co_firstlineno", "co_linetable"),
    *("co_exceptiontable", "co_freevars", "co_cellvars"),
]


def exchange_code(function, source, namespace):
    """Stand in for what prepares code that is handed over."""
    return source


def flats_of(code, where=placement.MINIMAL):
    """Return *code* and all within, rewritten and taken apart."""
    made = []
    for inner in nested_code(code):
        flow = placement.graph_of(inner, where)
        made.append((inner, rewriter.rewrite(flow, placement.plan(flow, where))))
    return unlinked_values(made)


def both(code, where=placement.MINIMAL):
    """Return *code*, live, linked and unsealed, with the same counters."""
    flats, packed = flats_of(code, where)
    group = CodeGroup(NUMBER, "program.py", index_of_group(flats, code.co_filename), packed)
    counters, records = make_counters(group.starts[-1]), ExitRecords(None)
    linked = link(flats, group, counters, None, exchange_code, records)[-1]
    key = first_key_of(NUMBER)
    return linked, load_live_code(compile_to_pickle(flats, code.co_filename), counters, key, traceback_of, exchange_code, records)


def same(one, other):
    """Check that two constants are the same: not merely equal, as 1, 1.0 and True are."""
    assert type(one) is type(other)
    if isinstance(one, types.CodeType):
        for name in ATTRIBUTES:
            assert getattr(one, name) == getattr(other, name), name
        same(one.co_consts, other.co_consts)
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same(a, b)
    elif isinstance(one, float):
        assert struct.pack("d", one) == struct.pack("d", other)
    elif isinstance(one, (int, str, bytes, complex, frozenset, slice, type(None), type(...))):
        assert repr(one) == repr(other) or one == other
    elif isinstance(one, WasInlined):
        assert one.method == other.method
    else:
        assert one is other  # counters, records, what prepares: there is one of each


@pytest.mark.parametrize("where", placement.PLACEMENTS)
@pytest.mark.parametrize("module", MODULES)
def test_modules_come_out_as_they_are_linked(module, where):
    """Every code object of a real module, its counters in their places."""
    same(*both(codes_of_module(module)[0], where))


@given(program=programs(size=20))
def test_programs_come_out_as_they_are_linked(program):
    """Whatever control flow and nesting there is."""
    same(*both(codes_of(program.source)[0]))


SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.just(...), st.integers(), st.integers(-(1 << 33), 1 << 33), st.floats()),
    *(st.complex_numbers(), st.binary(max_size=300), st.text(st.characters(), max_size=20)),
)
CONSTANTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=6).map(tuple),
        st.frozensets(SCALARS, max_size=4),
    ),
    max_leaves=12,
)


@given(values=st.lists(CONSTANTS, max_size=300))
def test_constants_come_out_as_they_are(values):
    """Of every type that a compiler makes, however deep and however many, also those that are equal to one another."""
    code = compile("f = lambda: 0\nf()", "program", "exec")
    inner = code.co_consts[0]
    inner = inner.replace(co_consts=(*inner.co_consts, *values))
    code = code.replace(co_consts=(inner, *values, *code.co_consts[1:], *values))

    same(*both(code))


def test_code_that_is_used_twice_is_made_once():
    """As where a compiler merges equal functions, which it does not do yet, or a program does."""
    code = compile("f = lambda: 0\ng = lambda: 1", "program", "exec")
    inner = code.co_consts[0]
    code = code.replace(co_consts=tuple(inner if type(c) is types.CodeType else c for c in code.co_consts))
    linked, unsealed = both(code)

    same(linked, unsealed)
    assert unsealed.co_consts[0] is unsealed.co_consts[1]


def test_code_within_may_be_of_another_source():
    """Templates are: what is not said is the source of the whole."""
    whole = compile("def f():\n    return 1\ndef g():\n    return 2", "program.py", "exec")
    f, g = (constant for constant in whole.co_consts if isinstance(constant, type(whole)))
    elsewhere = f.replace(co_filename="template.txt"), g.replace(co_filename="")
    whole = whole.replace(
        co_consts=tuple(dict(zip((f, g), elsewhere)).get(constant, constant) for constant in whole.co_consts)
    )
    assert [code.co_filename for code in nested_code(whole)] == ["template.txt", "", "program.py"]

    for code in both(whole):
        assert [inner.co_filename for inner in nested_code(code)] == ["template.txt", "", "program.py"]
    flats, packed = flats_of(whole)
    group = CodeGroup(NUMBER, "program.py", index_of_group(flats, "moved.py"), packed)
    assert [group.packed().fast_path_info(number).file_name for number in range(3)] == ["template.txt", "", "moved.py"]


def test_counters_are_never_mixed_up():
    """In another order code would get the counters of other code."""
    flats, _ = flats_of(compile("f = lambda: 0\ng = lambda: 1", "program", "exec"))
    first, second, (*whole, nested, n_probes, n_exits, size, inlinable) = flats
    swapped = *whole, tuple((place, 1 - number) for place, number in nested), n_probes, n_exits, size, inlinable

    with pytest.raises(ValueError, match="order"):
        compile_to_pickle([second, first, swapped], "program")


def test_nothing_is_looked_up_by_name():
    """Not one instruction of pickle that imports, calls what it found by name, or asks for an object from elsewhere."""
    flats, _ = flats_of(compile("import os\ndef f(x):\n    return [f(y) for y in x]", "program", "exec"))
    program = compile_to_pickle(flats, "program")[0]
    used = {instruction.name for instruction, _, _ in pickletools.genops(program)}

    assert used <= {
        *("NEXT_BUFFER", "MEMOIZE", "POP", "BINGET", "LONG_BINGET", "MARK", "TUPLE", "EMPTY_TUPLE", "REDUCE", "STOP"),
        *("BININT1", "BININT", "NONE", "NEWTRUE", "NEWFALSE"),
    }
