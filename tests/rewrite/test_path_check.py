"""Each way through rewritten code passes the probes that count it, and no others."""

import itertools
import sys

import oracle
import pytest
import strategies
from flow.codes import MODULES, changed, code_called, codes_of, codes_of_module
from rewrite.test_rewriter import VICTIM, Rewritten

from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import BACKWARD, CACHES, JUMPS, LOAD_CONST, OPCODES
from instrument.errors import RewriteError
from instrument.flow.placement import CALLS, EVENTS, LINE, MINIMAL, NOTHING, graph_of, plan
from instrument.flow.plan import ProbePosition
from instrument.rewrite.jumps import JumpEmitter
from instrument.rewrite.output import NO_LOCATION
from instrument.rewrite.path_check import wrong_path
from instrument.rewrite.probes import nop
from instrument.rewrite.rewriter import rewrite

ALL = [MINIMAL, LINE, EVENTS, CALLS, NOTHING]
COUNTING = [MINIMAL, LINE]

TURNING = """
def f(n):
    while n:
        while more(): continue
        n -= 1
    for x in range(n):
        if x % 2:
            continue
        try:
            n = x[0] or n
        except KeyError:
            n += 1
        except IndexError:
            return g(x)
        else:
            n = -1
    return n
"""


class Followed:
    """A code object with its probes, and what is wrong with its ways."""

    def __init__(self, code, placement):
        self.graph = graph_of(code, placement)
        self.plan = plan(self.graph, placement)
        self.unlinked = rewrite(self.graph, self.plan)

    def wrong_path(self, raw=None):
        """Return what is wrong, or what would be if the code were *raw*."""
        code = self.unlinked.code
        code = code if raw is None else code.replace(co_code=bytes(raw))
        return wrong_path(self.graph, self.plan, code, self.unlinked.units)

    def loads(self):
        """Return, for each constant, the units of the LOAD_CONSTs that load it."""
        found = {}
        made = Instructions(self.unlinked.code)
        for index, op in enumerate(made.ops):
            if op == LOAD_CONST and made.args[index] < 256:
                found.setdefault(made.args[index], []).append(made.units[index])
        return found


@pytest.fixture(params=[(source, placement) for source in (VICTIM, TURNING) for placement in COUNTING])
def victim(request):
    """A rewritten function whose code can be changed."""
    source, placement = request.param
    made = Followed(code_called("f", source), placement)
    assert made.wrong_path() == ""
    return made


@pytest.mark.parametrize("placement", ALL)
def test_every_way_is_right(placement):
    """All code of a part of the standard library, of the programs and of generated ones passes: nothing is refused."""
    codes = [code for module in MODULES[1::3] for code in codes_of_module(module)]
    for path in oracle.programs()[:: 1 if placement == MINIMAL else 4]:
        with open(path, "rb") as file:
            codes += codes_of(file.read(), str(path))
    for seed in range(60):
        codes += codes_of(strategies.random_program(seed).source)
    assert len(codes) > 500
    for code in codes:
        rewrite(graph := graph_of(code, placement), plan(graph, placement))


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="loops on one line are stepped through on 3.11 only")
def test_a_jump_that_passes_the_probe_of_a_step_is_noticed(monkeypatch):
    """This was wrong once: the jump back of one loop and the step to a copy of it shared the probe of the step."""

    def emit_pad(self, index, location):
        if index + 1 in self._pads or self._turns_on_line(index, index + 1):
            if index + 1 in self._pads:
                self._output.set_label(self._pads[index + 1])
            self._output.emit(nop(), NO_LOCATION)

    monkeypatch.setattr(JumpEmitter, "_emit_pad", emit_pad)
    with pytest.raises(RewriteError, match=r"cannot be rewritten: probe 1 of the fall from .* is passed by"):
        Rewritten(code_called("f", TURNING), MINIMAL)


def test_a_jump_that_lands_above_or_below_a_probe_is_noticed(victim):
    """Wherever a jump may land between two originals, it passes the probes that it passed, or that is noticed."""
    raw = victim.unlinked.code.co_code
    changed = 0
    for index, op in enumerate(victim.graph.instructions.ops):
        place = victim.unlinked.units[index]
        if op not in JUMPS or raw[2 * place] != op:
            continue
        after = place + 1 + CACHES[op]
        target = victim.graph.instructions.targets[index]
        above = victim.unlinked.units[target - 1]
        above += 1 + CACHES[raw[2 * above]]
        for lands in Instructions(victim.unlinked.code).units:
            distance = after - lands if op in BACKWARD else lands - after
            if not above <= lands <= victim.unlinked.units[target] or not 0 <= distance < 256:
                continue
            other = bytearray(raw)
            other[2 * place + 1] = distance
            loads = [units for constant, units in victim.loads().items() if constant >= first_probe(victim)]
            lower, upper = sorted((lands, after + raw[2 * place + 1] * (-1 if op in BACKWARD else 1)))
            if lower < upper and any(lower <= unit < upper for units in loads for unit in units):
                assert victim.wrong_path(other) != "", (index, lands)
                changed += 1
    assert changed or victim.plan.placement == LINE


def first_probe(made):
    """Return the constant of the first probe of *made*."""
    return len(made.graph.instructions.code.co_consts)


def test_counters_that_were_exchanged_are_noticed(victim):
    """Each counter counts what the Plan says; so does each record of exits."""
    loads = victim.loads()
    n_probes, n_exits = len(victim.plan.probes), len(victim.plan.exits)
    probes = [first_probe(victim) + number for number in range(n_probes)]
    exits = [first_probe(victim) + n_probes + number for number in range(n_exits)]
    exchanged = 0
    for group in (probes, exits):
        for one, other in itertools.pairwise(group):
            if one not in loads or other not in loads:  # of a handler that nothing is led to
                continue
            raw = bytearray(victim.unlinked.code.co_code)
            for unit in loads[one]:
                raw[2 * unit + 1] = other
            for unit in loads[other]:
                raw[2 * unit + 1] = one
            if victim.plan.placement == MINIMAL or one in exits or measure(victim, one) != measure(victim, other):
                assert victim.wrong_path(raw) != ""
                exchanged += 1
    assert exchanged > 2


def measure(made, constant):
    return made.plan.measured_by_probe[constant - first_probe(made)]


def test_a_probe_that_does_not_count_is_noticed(victim):
    """The instructions of a probe are all there."""
    for constant, units in victim.loads().items():
        if first_probe(victim) <= constant < first_probe(victim) + len(victim.plan.probes):
            raw = bytearray(victim.unlinked.code.co_code)
            raw[2 * units[0]] = OPCODES["NOP"]
            assert victim.wrong_path(raw) != ""


@pytest.mark.parametrize("placement", COUNTING)
def test_probes_at_the_places_of_others_are_noticed(placement):
    """A Plan that puts a probe elsewhere than on what it measures is refused."""
    code = code_called("f", TURNING)
    graph = graph_of(code, placement)
    refused = 0
    for number in range(len(plan(graph, placement).probes) - 1):
        made = plan(graph, placement)
        one, other = made.probes[number : number + 2]
        if ProbePosition.EXITING in (one.position, other.position):
            continue
        made = changed(made, probes=(*made.probes[:number], other, one, *made.probes[number + 2 :]))
        if made.measured_by_probe[number] != made.measured_by_probe[number + 1]:
            with pytest.raises(RewriteError):
                rewrite(graph, made)
            refused += 1
    assert refused > 2


def test_exits_that_no_stub_or_another_counts_are_noticed():
    """What counts the exits of some instructions stands on their way, and on that of no other."""
    code = code_called("f", TURNING)
    made = Followed(code, MINIMAL)
    assert made.plan.stubs
    for index, number in list(made.plan.stubs.items()):
        del made.plan.stubs[index]
        assert "are recorded by" in made.wrong_path()
        made.plan.stubs[index] = number
        assert made.wrong_path() == ""
