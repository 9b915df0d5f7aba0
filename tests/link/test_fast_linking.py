"""Code that the unpickler links is the same as the code that `link` makes, and its pickle names no object."""

import pickletools
import struct
import types

import pytest
from flow.codes import codes_of, codes_of_module
from hypothesis import given
from hypothesis import strategies as st
from link.linked_code import tree_of, unlinked_tree
from strategies import programs

from instrument.flow import placement
from instrument.link.code_group import CodeGroup, first_key_of, index_of_group
from instrument.link.counters import make_counters
from instrument.link.exit_records import ExitRecords
from instrument.link.fast_linking import compile_to_pickle, load_live_code
from instrument.link.linker import link, traceback_of
from instrument.link.unlinked_values import UnlinkedValues, nested_code
from instrument.rewrite.unlinked import WasInlined

MODULES = ["ast", "asyncio.tasks", "dataclasses", "enum", "re._parser", "tarfile", "typing", "unittest.mock"]
NUMBER = 7
ATTRIBUTES = [
    *("co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_nlocals", "co_stacksize", "co_flags", "co_code"),
    *("co_names", "co_varnames", "co_filename", "co_name", "co_qualname", "co_firstlineno", "co_linetable"),
    *("co_exceptiontable", "co_freevars", "co_cellvars"),
]


def exchange_code(function, source, namespace):
    """Stand for the function that exchanges code passed to an executor."""
    return source


def both(code, placed=placement.MINIMAL):
    """Return the live code of *code*, as `link` and as the unpickler make it with the same counters."""
    unlinked_codes, packed = unlinked_tree(nested_code(code), placed)
    group = CodeGroup(NUMBER, "program.py", index_of_group(unlinked_codes, code.co_filename), packed)
    counters, records = make_counters(group.starts[-1]), ExitRecords(None)
    linked = link(unlinked_codes, group, counters, None, exchange_code, records)[-1]
    key = first_key_of(NUMBER)
    return linked, load_live_code(
        compile_to_pickle(unlinked_codes), counters, key, code.co_filename, traceback_of, exchange_code, records
    )


def same(one, other):
    """Assert that two constants are the same, and not merely equal as 1, 1.0 and True are."""
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
        assert one is other  # counters, exit records and the like: there is one of each


@pytest.mark.parametrize("placed", placement.PLACEMENTS)
@pytest.mark.parametrize("module", MODULES)
@pytest.mark.slow
def test_modules_are_the_same_as_linked(module, placed):
    """Each code object of a real module has its counters in their places."""
    same(*both(codes_of_module(module)[0], placed))


@given(program=programs(size=20))
def test_programs_are_the_same_as_linked(program):
    """They have any control flow and nesting."""
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
def test_constants_stay_as_they_are(values):
    """Constants of each type that a compiler makes are tried, also nested ones, many, and equal ones."""
    code = compile("f = lambda: 0\nf()", "program", "exec")
    inner = code.co_consts[0]
    inner = inner.replace(co_consts=(*inner.co_consts, *values))
    code = code.replace(co_consts=(inner, *values, *code.co_consts[1:], *values))

    same(*both(code))


def test_code_that_is_used_twice_is_made_once():
    """No compiler merges equal functions yet, but a program may."""
    code = compile("f = lambda: 0\ng = lambda: 1", "program", "exec")
    inner = code.co_consts[0]
    code = code.replace(co_consts=tuple(inner if type(c) is types.CodeType else c for c in code.co_consts))
    linked, loaded = both(code)

    same(linked, loaded)
    assert loaded.co_consts[0] is loaded.co_consts[1]


def test_nested_code_may_have_another_source_file():
    """That of a template engine does. A file name that is left out is that of the outermost code object."""
    whole = compile("def f():\n    return 1\ndef g():\n    return 2", "program.py", "exec")
    f, g = (constant for constant in whole.co_consts if isinstance(constant, type(whole)))
    elsewhere = f.replace(co_filename="template.txt"), g.replace(co_filename="")
    whole = whole.replace(
        co_consts=tuple(dict(zip((f, g), elsewhere)).get(constant, constant) for constant in whole.co_consts)
    )
    assert [code.co_filename for code in nested_code(whole)] == ["template.txt", "", "program.py"]

    for code in both(whole):
        assert [inner.co_filename for inner in nested_code(code)] == ["template.txt", "", "program.py"]
    unlinked_codes, packed = unlinked_tree(nested_code(whole))
    group = CodeGroup(NUMBER, "program.py", index_of_group(unlinked_codes, "moved.py"), packed)
    assert [group.packed().fast_path_info(number).file_name for number in range(3)] == ["template.txt", "", "moved.py"]


def test_code_in_another_order_is_rejected():
    """It would get the counters of other code."""
    (first, second, whole), _ = unlinked_tree(tree_of("f = lambda: 0\ng = lambda: 1", "program"))
    swapped = UnlinkedValues(*whole.as_tuple())
    swapped.nested = tuple((place, 1 - index) for place, index in whole.nested)

    with pytest.raises(ValueError, match="order"):
        compile_to_pickle([second, first, swapped])


def test_nothing_is_looked_up_by_name():
    """No instruction of the pickle imports a module or finds an object by its name."""
    unlinked_codes, _ = unlinked_tree(tree_of("import os\ndef f(x):\n    return [f(y) for y in x]", "program"))
    program = compile_to_pickle(unlinked_codes)[0]
    used = {instruction.name for instruction, _, _ in pickletools.genops(program)}

    assert used <= {
        *("NEXT_BUFFER", "MEMOIZE", "POP", "BINGET", "LONG_BINGET", "MARK", "TUPLE", "EMPTY_TUPLE", "REDUCE", "STOP"),
        *("BININT1", "BININT", "NONE", "NEWTRUE", "NEWFALSE"),
    }
