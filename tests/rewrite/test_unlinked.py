"""The index of each appended constant is the one at which linking puts it."""

import itertools

import pytest
from flow.codes import codes_of_module
from rewrite.linking import link

from instrument.flow.placement import LINE, MINIMAL, NOTHING, graph_of, plan
from instrument.link.exit_records import ExitRecords
from instrument.link.linker import appended_constants
from instrument.rewrite.rewriter import rewrite
from instrument.rewrite.unlinked import (
    EXIT_RECORDS,
    FIRST_KEY,
    ConstantLayout,
    in_order,
    layout_of,
    shared_constants,
)


@pytest.mark.parametrize(
    ("n_originals", "n_probes", "n_exits", "n_inlinable"),
    [*itertools.product((0, 3, 300), (0, 2), (0, 1, 4), (0, 3))],
)
def test_each_index_names_the_constant_that_linking_puts_there(n_originals, n_probes, n_exits, n_inlinable):
    """`ConstantLayout` and `in_order` describe one order, for any number of each kind of constant."""
    layout = ConstantLayout(n_originals, n_probes, n_exits, n_inlinable)
    constants = in_order(
        originals=[("original", number) for number in range(n_originals)],
        counters=[("counter", number) for number in range(n_probes)],
        first_keys=[("exit", number) for number in range(n_exits)],
        shared=shared_constants("traceback of", "late exits", "range of counts", "exchange"),
        was_inlined=[("was inlined", number) for number in range(n_inlinable)],
        exit_records="exit records",
        first_key="first key",
    )
    assert len(constants) == layout.n_constants
    assert constants[layout.traceback_of] == "traceback of"
    assert constants[layout.late_exits] == "late exits"
    assert constants[layout.range_of_counts] == "range of counts"
    assert constants[layout.exchange] == "exchange"
    assert constants[layout.exit_records] == constants[EXIT_RECORDS] == "exit records"
    assert constants[FIRST_KEY] == "first key"
    for number in range(n_probes):
        assert constants[layout.first_counter + number] == ("counter", number)
    for number in range(n_exits):
        assert constants[layout.first_exit + number] == ("exit", number)
    for number in range(n_inlinable):
        assert constants[layout.first_was_inlined + number] == ("was inlined", number)


@pytest.mark.slow
@pytest.mark.parametrize("placement", [MINIMAL, LINE, NOTHING])
def test_rewritten_code_has_one_placeholder_for_each_appended_constant(placement):
    """The number of constants of unlinked code is that of the layout, and all appended ones are None."""
    for code in codes_of_module("argparse"):
        graph = graph_of(code, placement)
        planned = plan(graph, placement)
        constants = rewrite(graph, planned).code.co_consts
        assert len(constants) == layout_of(code, planned).n_constants
        assert set(constants[len(code.co_consts) :]) == {None}


def test_live_code_is_recognised_by_its_last_two_constants():
    """`appended_constants` reads the exit records and the first key, and returns None for any other code."""
    code = compile("x = 1", "program", "exec")
    live = link(code, MINIMAL)
    records, first_key = appended_constants(live)
    assert records is live.co_consts[EXIT_RECORDS]
    assert type(records) is ExitRecords
    assert first_key == live.co_consts[FIRST_KEY]
    assert appended_constants(code) is None
