"""The short way for straight code writes the same as the long way, and its check notices each change."""

import pytest
from flow.codes import changed, code_called, codes_of_module

from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import CACHES, OPCODES
from instrument.flow.placement import LINE, graph_of, plan
from instrument.flow.plan import Probe
from instrument.rewrite import rewriter
from instrument.rewrite.path_check import wrong_path
from instrument.rewrite.straight import check, writer
from instrument.rewrite.unlinked import Unlinked
from instrument.rewrite.verifier import RewrittenCode, difference

#: Straight functions: with equivalent exits, with a raise at the end, with a cell, with a long entry of locations.
SOURCES = {
    "plain": "def f(x):\n    x.method(1)\n    return x.other + 2",
    "raises": "def f(x):\n    y = x.method()\n    raise ValueError(y)",
    "has_a_cell": "def f(x):\n    def inner():\n        return x\n    return inner",
    "is_long": "def f(x):\n    return [x,\n        x.y, 2]",
}
FIELDS = ("co_code", "co_consts", "co_names", "co_stacksize", "co_linetable", "co_exceptiontable")


@pytest.fixture(params=SOURCES)
def sample(request):
    """Return the graph, the Plan and the Unlinked of a straight function."""
    graph = graph_of(code_called("f", SOURCES[request.param]), "minimal")
    planned = plan(graph)
    unlinked = writer.rewritten(graph, planned)
    assert unlinked is not None
    return graph, planned, unlinked


def with_code(unlinked, **changes):
    """Return *unlinked* with *changes* of its code object."""
    code = unlinked.code.replace(**changes)
    return Unlinked(code, unlinked.plan, unlinked.n_instructions, unlinked.units, (), unlinked.unfired, unlinked.facts)


def test_the_short_way_writes_what_the_long_way_writes():
    """Code, tables and places are the same to the byte, also those of class bodies."""
    n_straight = 0
    for code in codes_of_module("typing"):
        graph = graph_of(code, "minimal")
        planned = plan(graph)
        short = writer.rewritten(graph, planned)
        if short is not None:
            n_straight += 1
            long = rewriter._rewritten(graph, planned)
            assert [getattr(short.code, name) for name in FIELDS] == [getattr(long.code, name) for name in FIELDS]
            assert (short.units, short.added_jumps, short.unfired) == (long.units, long.added_jumps, long.unfired)
    assert n_straight > 100


def test_other_code_takes_the_long_way():
    """Code with a jump, with a handler, or with another placement is not written by the short way."""
    branch = graph_of(code_called("f", "def f(x):\n    return 1 if x else 2"), "minimal")
    handler = graph_of(code_called("f", "def f(x):\n    try:\n        x()\n    finally:\n        y()"), "minimal")
    straight = graph_of(code_called("f", SOURCES["plain"]), LINE)
    for graph, placement in ((branch, "minimal"), (handler, "minimal"), (straight, LINE)):
        assert writer.rewritten(graph, plan(graph, placement)) is None


def test_code_with_an_equal_proof_is_verified_once(sample, monkeypatch):
    """The two checks see the first code object with a proof, and no other; they see it again if they found it wrong."""
    graph, planned, _ = sample
    seen = []
    monkeypatch.setattr(check, "_right", set())
    monkeypatch.setattr(rewriter, "wrong_path", lambda *_: seen.append(1) or ("wrong" if len(seen) == 1 else ""))
    with pytest.raises(rewriter.RewriteError):
        rewriter.rewrite(graph, planned)
    rewriter.rewrite(graph, planned)
    rewriter.rewrite(graph, planned)
    assert len(seen) == 2


def test_each_changed_instruction_is_noticed(sample):
    """Another argument, or a NOP in place of an instruction without caches, changes the proof."""
    graph, planned, unlinked = sample
    proof = check.proof_of(graph, planned, unlinked)
    instructions, nop = Instructions(unlinked.code), OPCODES["NOP"]
    assert proof is not None
    for op, unit in zip(instructions.ops, instructions.units):
        for offset, bits in ((2 * unit + 1, (1, 2, 128)), (2 * unit, () if CACHES[op] else (op ^ nop,))):
            for bit in bits:
                raw = bytearray(unlinked.code.co_code)
                raw[offset] ^= bit
                assert check.proof_of(graph, planned, with_code(unlinked, co_code=bytes(raw))) != proof


@pytest.mark.parametrize("field", ["co_linetable", "co_exceptiontable"])
def test_each_changed_byte_of_a_table_is_noticed(sample, field):
    """Another byte changes the proof, or neither of the two checks minds it.

    An entry of the exception table may end at a cache: no instruction of the original has another handler then.
    """
    graph, planned, unlinked = sample
    proof = check.proof_of(graph, planned, unlinked)
    table = getattr(unlinked.code, field)
    n_noticed = 0
    for index in range(len(table)):
        for bit in (1, 2, 4, 8, 16, 32, 64):
            other = bytearray(table)
            other[index] ^= bit
            with_other = with_code(unlinked, **{field: bytes(other)})
            if check.proof_of(graph, planned, with_other) == proof:
                rewritten = RewrittenCode(graph.instructions, with_other.code, with_other.units)
                assert not difference(rewritten)
                assert not wrong_path(graph, planned, rewritten)
            else:
                n_noticed += 1
    assert n_noticed > 5 * len(table)


def test_other_changes_are_noticed(sample):
    """Names, the stack, places of instructions and all that the Plan says about probes belong to the proof."""
    graph, planned, unlinked = sample
    proof = check.proof_of(graph, planned, unlinked)
    names = unlinked.code.co_names
    moved = [*unlinked.units[:-1], unlinked.units[-1] + 1]
    others = [
        with_code(unlinked, co_names=("other", *names[1:])) if graph.instructions.code.co_names else None,
        with_code(unlinked, co_stacksize=1),
        Unlinked(unlinked.code, planned, unlinked.n_instructions, moved, (), unlinked.unfired, unlinked.facts),
    ]
    for other in others:
        assert other is None or check.proof_of(graph, planned, other) is None
    (first, *rest), (_, *measures) = planned.probes, planned.measured_by_probe
    for plan_of_other in (
        changed(planned, probes=[Probe(first.position, first.index + 1), *rest]),
        changed(planned, measured_by_probe=[1, *measures]),
        changed(planned, exec_calls=[(0, 0)]),
        changed(planned, placement=LINE),
        changed(planned, stubs=dict.fromkeys(range(4), 0)),
        changed(planned, exits=[]),
    ):
        assert check.proof_of(graph, plan_of_other, unlinked) != proof


def test_an_exception_that_is_led_past_its_stub_is_noticed(sample):
    """A landing among the originals, an entry too many, and entries out of order have no proof."""
    graph, planned, unlinked = sample
    table = unlinked.code.co_exceptiontable
    into_originals = bytes((128, 1, 1, 1)) + table[4:]
    for other in (into_originals, table + bytes((128, 1, 60, 1)), table[4:] + table[:4]):
        proof = check.proof_of(graph, planned, with_code(unlinked, co_exceptiontable=other))
        assert proof is None
