"""Calls of executors are found in code, and code that cannot call one is recognised."""

import pytest
from flow.codes import code_called, codes_of
from hypothesis import given
from hypothesis import strategies as st

from instrument.decode.exec_calls import exec_calls_in, executor_aliases_in
from instrument.decode.executors import may_execute_code, uses_any_name
from instrument.decode.instructions import Instructions

#: Calls, and for each that may be a call of an executor the number of its namespace argument.
NAMESPACES = {
    "exec(a)": [0],
    "exec(a, b)": [2],
    "exec(a, globals=b)": [2],
    "eval(a, b, c)": [2],
    "x.eval(a)": [0],
    "exec()": [],
    "exec(a if b else c)": [0],
    "a = exec(a if b else c)": [0],
    "exec(*a)": [0],
    "exec(*a, **b)": [],
    "a = exec; a(b, c)": [2],
    "print(a(b), exec)": [0],
    "exec_(a)": [0],
    "getattr(a, 'exec')(b)": [0],
    "getattr(a, 'execute')(b)": [],
    "print(a)": [],
    "print(exec, a)": [],
    "types.FunctionType(a, b)": [2],
    "marshal.dumps(a)": [0],
    "pickle.dumps(a)": [],
    "print(exec(a), eval(b, c))": [0, 2],
}


@pytest.mark.parametrize("call", NAMESPACES)
def test_calls_of_executors_are_found_with_their_namespace_argument(call):
    """The number of the namespace argument is 0 if the call passes none."""
    code = code_called("f", f"def f(a, b, c):\n    {call}\n")
    namespaces = [namespace for _, namespace in exec_calls_in(Instructions(code), frozenset())]
    if " if " in call:  # from 3.12 on each branch may have its own call
        namespaces = sorted({*namespaces})
    assert namespaces == NAMESPACES[call]


def test_calls_by_an_alias_of_the_module_are_found():
    """A function that does not mention an executor may call one by another name of its module."""
    instructions = Instructions(code_called("f", "def f(a, b):\n    run(a, b)\n    print(a)\n"))
    assert exec_calls_in(instructions, frozenset()) == []
    ((_, namespace),) = exec_calls_in(instructions, frozenset(["run"]))
    assert namespace == 2


@pytest.mark.parametrize(
    ("source", "aliases"),
    [
        ("run = exec", {"run"}),
        ("from builtins import eval as run", {"run"}),
        ("run = getattr(builtins, 'exec')", {"run"}),
        ("class C: pass\nC.run = exec", {"run"}),
        ("def f():\n    run = types.FunctionType", {"run"}),
        ("run = print", set()),
        ("x = [exec]", set()),
    ],
)
def test_names_that_a_module_gives_to_executors_are_its_aliases(source, aliases):
    """A name is an alias if the executor is loaded, imported or looked up right where the name is assigned."""
    assert executor_aliases_in(codes_of(source)) == aliases


@given(st.lists(st.sampled_from(["exec", "eval", "FunctionType", "marshal", "dump", "dumps", "print"]), max_size=4))
def test_code_may_call_an_executor_if_it_or_nested_code_names_one(names):
    """The names `dump` and `dumps` count only beside `marshal`: anybody's functions may have them."""
    expected = {"exec", "eval", "FunctionType"} & {*names} or ("marshal" in names and {"dump", "dumps"} & {*names})
    code = (lambda: 0).__code__.replace(co_names=tuple(names))
    assert may_execute_code(code) == bool(expected)
    outer = (lambda: lambda: 0).__code__
    assert may_execute_code(outer.replace(co_consts=(None, (lambda: 0).__code__, code))) == bool(expected)


def test_names_of_nested_code_are_found():
    """The names of a code object and of all code in it are searched, but no local variables."""
    module = codes_of("def f(x):\n    return lambda: run(x)\n")[0]
    assert uses_any_name(module, frozenset(["run"]))
    assert not uses_any_name(module, frozenset(["x", "walk"]))


def test_code_that_cannot_be_taken_apart_gives_no_aliases(monkeypatch):
    """It is refused by itself, and says so. The other code of the module is rewritten."""
    monkeypatch.setattr("instrument.decode.instructions.IS_UNKNOWN", bytes([1] * 256))
    assert executor_aliases_in([compile("run = exec", "program", "exec")]) == frozenset()
