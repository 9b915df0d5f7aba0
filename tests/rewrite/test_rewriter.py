"""Rewritten code holds the original instructions, does the same, and leads exceptions to the same handlers."""

import gc

import pytest
import strategies
from flow.codes import MODULES, code_called, codes_of, codes_of_module, index_at
from hypothesis import given, settings
from rewrite.linking import Runner
from rewrite.rewritten import COUNTING, SAMPLE, Rewritten

from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import BACKWARD, MAY_RERAISE, OPNAMES, RAISES, RERAISE
from instrument.errors import RewriteError
from instrument.flow.graph import build
from instrument.flow.placement import CALLS, EVENTS, LINE, MINIMAL, NOTHING, plan
from instrument.flow.plan import ProbePosition
from instrument.rewrite import rewriter

ALL = [MINIMAL, LINE, EVENTS, CALLS]


@pytest.fixture(scope="module", autouse=True)
def _collect_rewritten_functions():
    """Leave no rewritten function behind: a later measurement would rewrite it again."""
    yield
    gc.collect()


def check_handlers(code):
    """Check that an exception of each original instruction of *code*, a Rewritten, arrives at its original handler."""
    originals, copies = code.originals, code.copies
    for index, unit in enumerate(code.units):
        if index in originals.steps:
            continue
        handler = originals.table[originals.handlers[index]] if originals.handlers[index] >= 0 else None
        number = copies.handlers[index_at(copies, unit)]
        if number < 0:
            may_be_unrecorded = index < originals.throwable_from or originals.ops[index] in RAISES | MAY_RERAISE
            assert handler is None
            assert may_be_unrecorded or code.placement == NOTHING
            continue
        first = copies.table[number]
        if handler is not None and code.is_at(copies.starts[first.target], handler.target):
            assert (first.depth, first.push_lasti) == (handler.depth, handler.push_lasti)
        else:
            check_stub(code, index, first, handler)


def check_stub(code, index, first, handler):
    """Check that the stub that *first* leads to, for exceptions of the original *index*, goes on to *handler*.

    *first* is an entry of the rewritten exception table; *handler* is None if the exception leaves the code.
    """
    copies = code.copies
    assert copies.starts[first.target] > code.units[-1], "stubs stand behind all originals"
    end = first.target
    while copies.ops[end] != RERAISE and copies.ops[end] not in BACKWARD:
        end += 1
    is_counted = index in code.unlinked.plan.stubs
    needs_lasti = handler is None or handler.push_lasti or copies.ops[end] == RERAISE
    assert first.push_lasti == (not is_counted or needs_lasti)
    if handler is None:
        assert (first.depth, copies.ops[end], copies.args[end]) == (0, RERAISE, 1)
        assert copies.handlers[end] < 0
        return
    assert first.depth == handler.depth
    if copies.ops[end] == RERAISE:
        second = copies.table[copies.handlers[end]]
        assert (copies.args[end], second.depth, second.push_lasti) == (1, handler.depth, handler.push_lasti)
        assert code.is_at(copies.starts[second.target], handler.target)
        return
    assert copies.ops[end] in BACKWARD
    assert code.is_at(copies.starts[copies.targets[end]], handler.target)
    drops_lasti = [OPNAMES[op] for op in copies.ops[end - 2 : end]] == ["SWAP", "POP_TOP"]
    assert drops_lasti == (first.push_lasti and not handler.push_lasti)


def check_added_code(code):
    """Check that the code added to *code*, a Rewritten, leaves order, lines and jumps of the originals unchanged."""
    originals, copies = code.originals, code.copies
    assert sorted(code.units) == code.units
    for index, unit in enumerate(code.units):
        if index in originals.steps:
            continue
        copy = index_at(copies, unit)
        assert copies.units[copy] == unit
        assert copies.lines[copy] == originals.lines[index]
        if originals.targets[index] >= 0:
            target = copies.starts[copies.targets[copy]]
            assert code.is_at(target, originals.targets[index]) or target > code.units[-1]
    first = code.units[originals.first]
    assert copies.units[copies.first] == first
    units = set(code.units)
    # The probe behind an inlined call has no line (emitter: `_emit_instruction`).
    inlined = {probe.index for probe in code.plan.probes if probe.position == ProbePosition.INLINED}
    for added in range(copies.first + 1, len(copies)):
        below = next((index for index, unit in enumerate(code.units) if unit >= copies.units[added]), None)
        if copies.units[added] not in units and below is not None:
            lines = [originals.lines[below], originals.lines[below - 1], *([None] if below - 1 in inlined else [])]
            assert copies.lines[added] in lines


@pytest.mark.parametrize("placement", ALL)
@pytest.mark.parametrize("module", MODULES[::3])
@pytest.mark.slow
def test_code_of_the_standard_library_is_rewritten_without_a_difference(module, placement):
    """The verifier accepts all code of a sample of modules, and exceptions arrive at their handlers."""
    for code in codes_of_module(module):
        rewritten = Rewritten(code, placement)
        assert rewritten.difference() == ""
        check_handlers(rewritten)


@pytest.mark.parametrize("placement", ALL)
@given(program=strategies.programs(size=15))
@settings(max_examples=min(25, settings().max_examples))
@pytest.mark.slow
def test_generated_programs_are_rewritten_without_a_difference(placement, program):
    """The verifier accepts generated programs; handlers, lines and jumps of the originals stay."""
    for code in codes_of(program.source):
        rewritten = Rewritten(code, placement)
        assert rewritten.difference() == ""
        check_handlers(rewritten)
        check_added_code(rewritten)


@pytest.mark.parametrize("placement", [*COUNTING, EVENTS])
@pytest.mark.slow
def test_rewritten_programs_have_the_same_results(placement):
    """Values, exceptions, lines of tracebacks and the order of all effects are the same."""
    for seed in range(40):
        program = strategies.random_program(seed)
        expected = strategies.run(program, lambda **_: Runner())
        assert strategies.run(program, lambda **_: Runner(placement)) == expected, program


@pytest.mark.slow
@pytest.mark.parametrize("placement", COUNTING)
def test_a_trace_function_sees_the_same_lines(placement):
    """Under `sys.settrace` rewritten code raises line events for the lines of the original, and for no others."""
    for seed in range(40):
        program = strategies.random_program(seed)
        plain, linked = Runner(None, strategies.FILE_NAME), Runner(placement, strategies.FILE_NAME)
        strategies.run(program, lambda **_: plain)
        strategies.run(program, lambda **_: linked)
        assert set(linked.lines) == set(plain.lines), program


SHAPES = """
def f(n):
    for x in range(n):
        if x % 2:
            continue
        elif x == 4:
            break
        while x:
            x -= 1
        try:
            1 / n
            [][n]
        except ZeroDivisionError:
            yield 0
        except IndexError:
            yield 1
        finally:
            n += 0
    else:
        return
def g(n):
    yield from f(n)
    with open(__file__) as file:
        pass
list(f(0)), list(f(3)), list(f(8))
try:
    list(g(2))
except NameError:
    pass
"""


@pytest.mark.parametrize("placement", COUNTING)
def test_probes_and_stubs_raise_no_line_event(placement):
    """A trace function is called for each line of ordinary code as often as without probes."""
    code = compile(SHAPES, "shapes", "exec")
    plain, linked = Runner(None, "shapes"), Runner(placement, "shapes")
    for runner in (plain, linked):
        runner.runctx(code, {}, None)
    assert linked.lines == plain.lines
    assert min(linked.lines.values()) >= 1 < max(linked.lines.values())


def test_code_that_is_not_measured_is_rewritten():
    """The placement `nothing` rewrites all shapes of code, the head of a loop behind a `raise` included."""
    source = "def f(x):\n    if x:\n        raise E\n    while y:\n        z()\n"
    check_handlers(Rewritten(code_called("f", source), NOTHING))


def test_code_with_a_difference_is_never_returned(monkeypatch):
    """A RewriteError names file, line and function of the code, and the difference."""
    graph = build(Instructions(code_called("f", SAMPLE)))
    monkeypatch.setattr(rewriter, "difference", lambda *_: "something differs")
    with pytest.raises(RewriteError, match=r"^program:2: f cannot be rewritten: something differs$"):
        rewriter.rewrite(graph, plan(graph))
