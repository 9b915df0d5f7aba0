"""A Plan is a value: it cannot be changed, and survives being packed."""

import pytest
from flow.codes import MODULES, code_called, codes_of_module

from instrument.flow.packing import PackedLineEffects, PackedPlans, pack_line_effects, pack_plans
from instrument.flow.placement import CALLS, EVENTS, LINE, MINIMAL, NOTHING, graph_of, plan
from instrument.flow.plan import Plan, Probe, ProbePosition

NOT_PACKED = ("stubs", "line_effects")


def plan_of(source, placement=MINIMAL):
    """Return the Plan of the function `f` of *source*."""
    return plan(graph_of(code_called("f", source), placement), placement)


@pytest.mark.parametrize("module", MODULES[:4])
@pytest.mark.parametrize("placement", [MINIMAL, LINE, EVENTS, CALLS, NOTHING])
def test_plans_that_were_packed_and_unpacked_are_equal(placement, module):
    """All fields are equal, except `stubs` and `line_effects`, which are not packed with them."""
    originals = [plan(graph_of(code, placement), placement) for code in codes_of_module(module)]
    packed = PackedPlans(pack_plans(originals))
    unpacked_plans = [packed.plan(number) for number in range(len(originals))]
    for original, unpacked in zip(originals, unpacked_plans):
        for name in Plan.__slots__:
            if name not in ("probes", *NOT_PACKED):
                assert getattr(unpacked, name) == getattr(original, name), name
        assert (unpacked.stubs, unpacked.line_effects) == ({}, None)
        assert [(probe.position, probe.index, probe.rollback_at) for probe in unpacked.probes] == [
            (probe.position, probe.index, probe.rollback_at) for probe in original.probes
        ]
    assert pack_plans(unpacked_plans) == pack_plans(originals)


@pytest.mark.parametrize("module", MODULES[:4])
@pytest.mark.parametrize("placement", [MINIMAL, LINE])
def test_line_effects_are_equal_after_packing(placement, module):
    """The columns have the effects of the first probes: those whose effects are known."""
    originals = [plan(graph_of(code, placement), placement) for code in codes_of_module(module)]
    packed = PackedLineEffects(pack_line_effects(originals))
    for number, original in enumerate(originals):
        effects = packed.effects(number)
        lines_and_times = zip(effects.lines, effects.times)
        unpacked = [
            (entered, *(value for _ in range(n_lines) for value in next(lines_and_times)))
            for n_lines, entered in zip(effects.n_lines, effects.entered)
        ]
        others = (original.line_effects or ())[len(unpacked) :]
        assert [*unpacked, *others] == list(original.line_effects or ())
        assert not others or others[0] is None


def test_no_plans_can_be_packed():
    """All code of a module may be refused."""
    assert PackedPlans(pack_plans([]))
    assert PackedLineEffects(pack_line_effects([]))


def test_a_plan_cannot_be_changed():
    """Neither can a field be assigned, nor does a field hold a list."""
    made = plan_of("def f(x):\n    for y in x: pass\n    return y\n")
    for name in Plan.__slots__:
        with pytest.raises(AttributeError, match=f"{name} of a Plan cannot be changed"):
            setattr(made, name, ())
        assert not isinstance(getattr(made, name), list), name


def test_a_plan_has_all_its_fields():
    """A field that is missing, or unknown, is an error."""
    made = plan_of("def f(): pass")
    fields = {name: getattr(made, name) for name in Plan.__slots__}
    with pytest.raises(TypeError, match="a Plan has other fields than placement"):
        Plan(placement=MINIMAL)
    with pytest.raises(TypeError, match="unknown"):
        Plan(**fields, unknown=1)


def test_a_probe_shows_its_position():
    """The text of a probe is for messages."""
    assert repr(Probe(ProbePosition.TAKEN, 7)) == "<probe taken 7>"
