"""Exits have the records that recovery needs, and share a probe only if no count can tell them apart."""

import pytest
from flow.codes import MODULES, code_called, codes_of, codes_of_module

from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import CALL
from instrument.flow.exits import exit_records, group_equivalent_exits
from instrument.flow.graph import EdgeKind, build
from instrument.flow.placement import MINIMAL, PLACEMENTS, graph_of
from instrument.flow.plan import ExitKind


def graph_called(name, source):
    """Return the graph of the code called *name* in *source*."""
    return build(Instructions(code_called(name, source)))


def calls_in(graph):
    return [index for index, op in enumerate(graph.instructions.ops) if op == CALL]


@pytest.mark.parametrize("module", MODULES)
def test_each_handler_has_a_record_and_so_has_code_without_handler(module):
    """Handlers that a RERAISE with the place of the first raise leads to have another record, if they start a line."""
    for graph in [graph_of(code, placement) for code in codes_of_module(module) for placement in PLACEMENTS]:
        records = exit_records(graph)
        assert [entry for entry, kind in records if kind == ExitKind.RAISED] == list(range(-1, len(graph.entries)))
        restored = [entry for entry, kind in records if kind == ExitKind.RESTORED]
        assert len(set(restored)) == len(restored)
        restoring = {
            graph.instructions.handlers[edge.at]
            for edge in graph.edges
            if edge.kind == EdgeKind.RAISE and graph.restores_place(edge.at)
        }
        assert set(restored) == {entry for entry in restoring if graph.entries[entry].line is not None}


def test_calls_of_one_line_share_a_probe_and_calls_of_two_lines_do_not():
    """A line event between two calls happens if the second raises, and does not if the first raises."""
    graph = graph_called("f", "def f(x):\n    a(x); b(x)\n    c(x)\n")
    first, second, third = calls_in(graph)
    groups = [set(group) & {first, second, third} for _, group in group_equivalent_exits(graph, frozenset())]
    assert groups == [{first, second}, {third}]


def test_calls_with_different_handlers_have_probes_of_their_own():
    """Each group belongs to one record."""
    graph = graph_called("f", "def f(x):\n    try: a(x)\n    except KeyError: pass\n    b(x)\n")
    records = exit_records(graph)
    covered, bare = calls_in(graph)
    record_of = {index: record for record, group in group_equivalent_exits(graph, frozenset()) for index in group}
    assert records[record_of[covered]] == (graph.instructions.handlers[covered], ExitKind.RAISED)
    assert records[record_of[bare]] == (-1, ExitKind.RAISED)


def test_instructions_that_must_differ_are_in_no_group():
    """The caller knows reasons of its own."""
    graph = graph_called("f", "def f(x):\n    a(x); b(x)\n")
    first, second = calls_in(graph)
    ((_, group),) = group_equivalent_exits(graph, frozenset([first]))
    assert second in group
    assert first not in group


def test_a_handler_of_many_groups_has_none():
    """From four groups on a record costs less than the probes."""
    n_groups = []
    for n_lines in (1, 3, 4):
        graph = graph_called("f", "def f(x):\n" + "    a(x)\n" * n_lines)
        n_groups.append(len(group_equivalent_exits(graph, frozenset())))
    assert n_groups == [1, 3, 0]


def test_copies_of_a_loop_that_goes_on_after_an_exception_count_once():
    """A loop that catches in each turn needs no record, however often it is copied; a loop that ends has records."""
    goes_on = "def f(x, d):\n    for y in x:\n        try: d[y]\n        except KeyError: pass\n"
    ends = "def f(x, d):\n    try:\n        for y in x: d[y]\n    except KeyError: pass\n"
    n_caught = []
    for source in (goes_on, ends):
        graph = graph_of(code_called("f", source), MINIMAL)
        n_caught.append(sum(record > 0 for record, _ in group_equivalent_exits(graph, frozenset())))
    assert n_caught == [4, 0]


def test_code_that_runs_once_has_no_groups():
    """The body of a module needs no fast exits."""
    (module,) = codes_of("a(1)")
    assert group_equivalent_exits(build(Instructions(module)), frozenset()) == []
