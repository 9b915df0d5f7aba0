"""Each path through rewritten code passes the probes that count it, and no others."""

import itertools
import sys

import oracle
import pytest
import strategies
from flow.codes import MODULES, changed, code_called, codes_of, codes_of_module
from rewrite.rewritten import COUNTING, SAMPLE, Rewritten

from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import BACKWARD, CACHES, JUMPS, LOAD_CONST, OPCODES
from instrument.errors import RewriteError
from instrument.flow.placement import CALLS, EVENTS, LINE, MINIMAL, NOTHING, graph_of, plan
from instrument.flow.plan import ProbePosition
from instrument.rewrite.emitter import Emitter
from instrument.rewrite.output import NO_UNIT
from instrument.rewrite.path_check import wrong_path
from instrument.rewrite.probes import nop
from instrument.rewrite.rewriter import rewrite

ALL = [MINIMAL, LINE, EVENTS, CALLS, NOTHING]

LOOPS = """
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


class Checked(Rewritten):
    """A rewritten code object whose paths are checked, as it is or changed."""

    def wrong_path(self, raw=None):
        """Return the mistake that is found in the rewritten code, or in this code with the bytes *raw*."""
        code = self.unlinked.code
        code = code if raw is None else code.replace(co_code=bytes(raw))
        return wrong_path(self.graph, self.plan, self.with_code(code))

    def loads(self):
        """Return, for the index of each constant below 256, the code units of the LOAD_CONSTs that load it."""
        units = {}
        for index, op in enumerate(self.copies.ops):
            if op == LOAD_CONST and self.copies.args[index] < 256:
                units.setdefault(self.copies.args[index], []).append(self.copies.units[index])
        return units


@pytest.fixture(params=[(source, placement) for source in (SAMPLE, LOOPS) for placement in COUNTING])
def sample(request):
    """Return a rewritten function in which no wrong path is found."""
    source, placement = request.param
    checked = Checked(code_called("f", source), placement)
    assert checked.wrong_path() == ""
    return checked


@pytest.mark.parametrize("placement", ALL)
@pytest.mark.slow
def test_no_path_of_ordinary_code_is_wrong(placement):
    """Code of the standard library, of the test programs and of generated programs passes the check."""
    codes = [code for module in MODULES[1::3] for code in codes_of_module(module)]
    for path in oracle.programs()[:: 1 if placement == MINIMAL else 4]:
        with open(path, "rb") as file:
            codes += codes_of(file.read(), str(path))
    for seed in range(60):
        codes += codes_of(strategies.random_program(seed).source)
    assert len(codes) > 500
    for code in codes:
        rewrite(graph := graph_of(code, placement), plan(graph, placement))


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="only 3.11 has pads between copies of loops")
def test_a_jump_that_passes_the_probe_of_a_step_is_noticed(monkeypatch):
    """The rewriter made this mistake once: a jump back passed the probe of the step to the next copy of the loop."""

    def emit_pad(self, index, unit):
        label = self._jumps.pads.get(index + 1)
        if label is not None or index in self._jumps.with_event:
            if label is not None:
                self._set_label(label)
            self._append(nop(), NO_UNIT)

    monkeypatch.setattr(Emitter, "_emit_pad", emit_pad)
    with pytest.raises(RewriteError, match=r"cannot be rewritten: probe 1 of the fall from .* is passed by"):
        Rewritten(code_called("f", LOOPS), MINIMAL)


def test_a_jump_that_arrives_on_the_other_side_of_a_probe_is_noticed(sample):
    """A jump may arrive anywhere between two originals, but it must pass the same probes."""
    raw = sample.unlinked.code.co_code
    changed = 0
    for index, op in enumerate(sample.graph.instructions.ops):
        place = sample.unlinked.units[index]
        if op not in JUMPS or raw[2 * place] != op:
            continue
        after = place + 1 + CACHES[op]
        target = sample.graph.instructions.targets[index]
        above = sample.unlinked.units[target - 1]
        above += 1 + CACHES[raw[2 * above]]
        for lands in Instructions(sample.unlinked.code).units:
            distance = after - lands if op in BACKWARD else lands - after
            if not above <= lands <= sample.unlinked.units[target] or not 0 <= distance < 256:
                continue
            other = bytearray(raw)
            other[2 * place + 1] = distance
            loads = [units for constant, units in sample.loads().items() if constant >= first_probe(sample)]
            lower, upper = sorted((lands, after + raw[2 * place + 1] * (-1 if op in BACKWARD else 1)))
            if lower < upper and any(lower <= unit < upper for units in loads for unit in units):
                assert sample.wrong_path(other) != "", (index, lands)
                changed += 1
    assert changed or sample.plan.placement == LINE


def first_probe(checked):
    """Return the index of the counter of the first probe of *checked*."""
    return len(checked.originals.code.co_consts)


def test_exchanged_counters_are_noticed(sample):
    """Each probe must load its own counter, and each stub its own first key."""
    loads = sample.loads()
    n_probes, n_exits = len(sample.plan.probes), len(sample.plan.exits)
    probes = [first_probe(sample) + number for number in range(n_probes)]
    exits = [first_probe(sample) + n_probes + number for number in range(n_exits)]
    exchanged = 0
    for group in (probes, exits):
        for one, other in itertools.pairwise(group):
            if one not in loads or other not in loads:  # the stub of a handler that no exception goes to
                continue
            raw = bytearray(sample.unlinked.code.co_code)
            for unit in loads[one]:
                raw[2 * unit + 1] = other
            for unit in loads[other]:
                raw[2 * unit + 1] = one
            if sample.plan.placement == MINIMAL or one in exits or measure(sample, one) != measure(sample, other):
                assert sample.wrong_path(raw) != ""
                exchanged += 1
    assert exchanged > 2


def measure(checked, constant):
    """Return the item of `Plan.measured_by_probe` for the counter at the index *constant*."""
    return checked.plan.measured_by_probe[constant - first_probe(checked)]


def test_an_incomplete_probe_is_noticed(sample):
    """The instructions behind the LOAD_CONST of a counter must follow it."""
    for constant, units in sample.loads().items():
        if first_probe(sample) <= constant < first_probe(sample) + len(sample.plan.probes):
            raw = bytearray(sample.unlinked.code.co_code)
            raw[2 * units[0]] = OPCODES["NOP"]
            assert sample.wrong_path(raw) != ""


@pytest.mark.parametrize("placement", COUNTING)
def test_a_plan_with_exchanged_probes_is_refused(placement):
    """A RewriteError is raised if a probe stands on another path than the one that it measures."""
    code = code_called("f", LOOPS)
    graph = graph_of(code, placement)
    refused = 0
    for number in range(len(plan(graph, placement).probes) - 1):
        right = plan(graph, placement)
        one, other = right.probes[number : number + 2]
        if ProbePosition.EXITING in (one.position, other.position):
            continue
        wrong = changed(right, probes=(*right.probes[:number], other, one, *right.probes[number + 2 :]))
        if wrong.measured_by_probe[number] != wrong.measured_by_probe[number + 1]:
            with pytest.raises(RewriteError):
                rewrite(graph, wrong)
            refused += 1
    assert refused > 2


def test_exits_without_their_counter_are_noticed():
    """The probe that counts the exits of equivalent instructions stands on their paths, and on no others."""
    checked = Checked(code_called("f", LOOPS), MINIMAL)
    assert checked.plan.stubs
    for index, number in list(checked.plan.stubs.items()):
        del checked.plan.stubs[index]
        assert "are recorded by" in checked.wrong_path()
        checked.plan.stubs[index] = number
        assert checked.wrong_path() == ""
