"""CodeFacts are true of the code, and pass through packing and marshalling."""

import marshal

import pytest
from flow.codes import MODULES, code_called, codes_of_module

from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import JUMPS, OPNAMES, SKIPPED, UNCONDITIONAL_JUMPS
from instrument.flow.derived.code_facts import CodeFacts, InstructionClass, PackedCodeFacts, facts_of, pack_code_facts
from instrument.flow.derived.shape import CodeShape
from instrument.flow.placement import MINIMAL, graph_of, plan
from instrument.rewrite.rewriter import rewrite


def fields(facts):
    return [getattr(facts, name) if name != "units" else [*facts.units] for name in CodeFacts.__slots__]


@pytest.mark.parametrize("module", MODULES[:4])
def test_packed_facts_are_the_same(module):
    """They pass through `marshal`, all code objects of a module together."""
    facts = [facts_of(graph_of(code, MINIMAL).instructions) for code in codes_of_module(module)]
    packed = PackedCodeFacts(marshal.loads(marshal.dumps(pack_code_facts(facts))))
    for number, each in enumerate(facts):
        assert fields(packed.facts(number)) == fields(each)


def test_no_facts_can_be_packed():
    """A module of which all code was refused has none."""
    assert pack_code_facts([]) == ((), (), (), None, ())


@pytest.mark.parametrize("module", MODULES[:4])
def test_positions_are_those_of_the_code(module):
    """The interpreter that reads the facts finds the positions that the code object had."""
    for code in codes_of_module(module):
        graph = graph_of(code, MINIMAL)
        shape = CodeShape(facts_of(graph.instructions), plan(graph))
        positions = [*code.co_positions()]
        for index, unit in enumerate(graph.instructions.starts):
            line, end_line, column, end_column = positions[unit]
            expected = (line, -1 if column is None else column, end_line, -1 if end_column is None else end_column)
            assert shape.positions[index] == (expected if line else None)
            assert shape.lines[index] == (graph.instructions.lines[index] or None)


@pytest.mark.parametrize("module", MODULES[:4])
def test_each_conditional_jump_has_a_class(module):
    """A jump without a class would be a decision that is not found."""
    for code in codes_of_module(module):
        instructions = graph_of(code, MINIMAL).instructions
        facts = facts_of(instructions)
        for op, number in zip(instructions.ops, facts.classes, strict=True):
            if op in JUMPS and op not in UNCONDITIONAL_JUMPS:
                assert number in range(InstructionClass.IF_TRUE, InstructionClass.SEND + 1), OPNAMES[op]
            elif op in UNCONDITIONAL_JUMPS:
                assert number == InstructionClass.GOTO


def test_instructions_that_an_exhausted_loop_skips_have_a_class():
    """3.13 skips two of them, 3.11 none."""
    code = code_called("f", "def f(x):\n    for y in x:\n        await_ = y.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q\n")
    instructions = Instructions(code)
    skipped = [op for op, number in zip(instructions.ops, facts_of(instructions).classes) if number == InstructionClass.SKIPPED]
    assert skipped == [op for op in SKIPPED if op >= 0]


def test_rewriting_hands_on_the_facts():
    """They are those of the original, for straight code and for other code."""
    for source in ("def f(x):\n    return x", "def f(x):\n    for y in x:\n        if y: a()"):
        graph = graph_of(code_called("f", source), MINIMAL)
        assert fields(rewrite(graph, plan(graph)).facts) == fields(facts_of(graph.instructions))
