"""Branches: lines with several ways on, without excluded lines."""

from hypothesis import given
from hypothesis import strategies as st

from instrument.analysis.branches import branches_of
from instrument.model.flow_counts import Arc, FlowCounts

LINES = st.integers(1, 9)
FUNCTIONS = st.sampled_from([("f", 1), ("g", 5)])
ARCS = st.dictionaries(st.builds(Arc, FUNCTIONS, LINES, st.integers(0, 9)), st.integers(0, 3))


def flow_of(arcs):
    flow = FlowCounts()
    flow.arcs.update(arcs)
    return flow


@given(ARCS, st.sets(LINES), st.sets(LINES))
def test_excluded_lines_have_no_ways_and_complete_lines_miss_none(arcs, excluded, complete):
    """All other ways of lines with several of them are there, with their counts."""
    branches = branches_of(flow_of(arcs), excluded, complete)
    kept = {arc: n for arc, n in arcs.items() if arc.line not in excluded and arc.target not in excluded}
    several = [
        arc for arc in kept if sum((other.function, other.line) == (arc.function, arc.line) for other in kept) > 1
    ]

    found = {Arc(branch.function, branch.line, target): n for branch in branches for target, n in branch.arcs.items()}
    assert found == {arc: kept[arc] for arc in several}
    missing = {Arc(branch.function, branch.line, target) for branch in branches for target in branch.missing}
    assert missing == {arc for arc in several if kept[arc] == 0 and arc.line not in complete}
    assert [(branch.line, branch.function) for branch in branches] == sorted({(a.line, a.function) for a in several})
