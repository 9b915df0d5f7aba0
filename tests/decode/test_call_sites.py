"""The operands of a call are found if they are computed in a straight line."""

import pytest
from flow.codes import code_called

from instrument.decode.call_sites import (
    accessed_name,
    callable_of,
    keywords_of,
    passes_keywords,
    start_of_call,
    stored_name,
)
from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import CALL, CALL_FUNCTION_EX, CALL_KW, PARTS_OF_CALL


def last_call(expression, ops=(CALL, CALL_KW, CALL_FUNCTION_EX)):
    """Return the instructions of a function that evaluates *expression*, and the index of the last call in it."""
    instructions = Instructions(code_called("f", f"def f(a, b, c):\n    {expression}\n"))
    return instructions, max(index for index, op in enumerate(instructions.ops) if op in ops)


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("g(a)", "g"),
        ("a(b, c)", "a"),
        ("a.method(b)", "method"),
        ("g(a, x=b)", "g"),
        ("g(*a)", "g"),
        ("g(*a, **b)", "g"),
        ("g(a.b[c], (a, b))", "g"),
    ],
)
def test_the_callable_of_a_call_has_a_name(expression, name):
    """The instruction that pushed the callable tells the name under which it was found."""
    instructions, call = last_call(expression)
    assert accessed_name(instructions, callable_of(instructions, call)) == name


@pytest.mark.parametrize("expression", ["g(a if b else c)", "(a or b)(c)"])
def test_a_callable_below_a_jump_is_not_found(expression):
    """If control may arrive at an operand by a jump, the callable is not certain."""
    assert callable_of(*last_call(expression)) == -1


@pytest.mark.parametrize(("expression", "keywords"), [("g(a)", ()), ("g(a, x=b)", ("x",)), ("g(x=a, y=b)", ("x", "y"))])
def test_the_keywords_of_a_call_are_found(expression, keywords):
    """They are in the order of the call."""
    assert keywords_of(*last_call(expression, (CALL, CALL_KW))) == keywords


@pytest.mark.parametrize(("expression", "expected"), [("g(*a)", False), ("g(*a, **b)", True), ("g(*a, x=b)", True)])
def test_a_call_with_a_star_passes_keywords_if_it_names_some(expression, expected):
    """Versions differ in how the call says so."""
    assert passes_keywords(*last_call(expression, (CALL_FUNCTION_EX,))) == expected


def test_a_call_starts_at_the_parts_that_belong_to_it():
    """Nothing can be inserted between a call and these parts."""
    instructions, call = last_call("g(a, x=b)", (CALL, CALL_KW))
    start = start_of_call(instructions, call)
    assert all(instructions.ops[index] in PARTS_OF_CALL for index in range(start, call))
    assert instructions.ops[start - 1] not in PARTS_OF_CALL


@pytest.mark.parametrize("statement", ["name = 1", "global name; name = 1", "a.name = b", "def name(): pass"])
def test_a_store_tells_its_name(statement):
    """Local variables, global variables and attributes alike."""
    instructions = Instructions(code_called("f", f"def f(a, b):\n    {statement}\n"))
    names = [stored_name(instructions, index) for index in range(len(instructions))]
    assert [name for name in names if name] == ["name"]
