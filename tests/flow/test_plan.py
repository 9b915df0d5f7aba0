"""A Plan is a value: it cannot be changed, and survives being packed."""

import pytest
from flow.codes import MODULES, code_called, codes_of_module

from instrument.flow.placement import CALLS, EVENTS, LINE, MINIMAL, NOTHING, graph_of, plan
from instrument.flow.plan import Plan, Probe, ProbePosition

NOT_PACKED = ("stubs", "line_effects")


def plan_of(source, placement=MINIMAL):
    """Return the Plan of the function `f` of *source*."""
    return plan(graph_of(code_called("f", source), placement), placement)


@pytest.mark.parametrize("module", MODULES[:4])
@pytest.mark.parametrize("placement", [MINIMAL, LINE, EVENTS, CALLS, NOTHING])
def test_a_plan_that_was_packed_and_unpacked_is_equal(placement, module):
    """All fields are equal, except `stubs` and `line_effects`, which are not packed."""
    for code in codes_of_module(module):
        graph = graph_of(code, placement)
        original = plan(graph, placement)
        unpacked = Plan.unpack(original.pack())
        for name in Plan.__slots__:
            if name not in ("probes", *NOT_PACKED):
                assert getattr(unpacked, name) == getattr(original, name), name
        assert (unpacked.stubs, unpacked.line_effects) == ({}, None)
        assert [(probe.position, probe.index, probe.rollback_at) for probe in unpacked.probes] == [
            (probe.position, probe.index, probe.rollback_at) for probe in original.probes
        ]
        assert unpacked.pack() == Plan.unpack(unpacked.pack()).pack()


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
